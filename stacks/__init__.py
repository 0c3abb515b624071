"""The Pulumi programs."""
