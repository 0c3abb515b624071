"""A Pulumi engine, wherever we are: found, downloaded or built."""
