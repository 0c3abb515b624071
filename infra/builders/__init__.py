"""Pure functions that build parts of Kubernetes objects, as plain mappings in Kubernetes' own words."""
