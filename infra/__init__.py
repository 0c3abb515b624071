"""One component a module; pure builders under them."""
