"""Know people's devices and push to them."""
