"""The policy pack that every preview runs."""
