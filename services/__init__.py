"""The three services, and the few modules that they truly share."""
