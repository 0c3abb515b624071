"""A cluster that kind or k3d makes in Docker: by their command lines, which are the user's own."""
