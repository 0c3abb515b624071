"""What the verbs do: one operation a module, each a list of named steps."""
