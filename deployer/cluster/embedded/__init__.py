"""A Kubernetes cluster in a box of namespaces on this machine."""
