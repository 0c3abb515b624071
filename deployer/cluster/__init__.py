"""A Kubernetes cluster, wherever we are."""
