"""Log people in and mint their tokens."""
