"""Stand in for Pulumi's `random` resource plugin where the official one cannot be had."""
