"""Stand in for Pulumi's Python language host: run stack programs and policy packs for the engine."""
