"""Stand in for the official Kubernetes resource plugin where it cannot be had."""
