"""Container images without Docker: layers, digests, archives."""
