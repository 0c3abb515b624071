"""Resource plugins and the language host: the official ones, or stand-ins where those cannot be had."""
