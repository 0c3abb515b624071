"""A whole Kubernetes cluster of one node in a box of namespaces, with nothing installed on the machine."""
