"""The command line: one typer module a verb; parsing and printing, nothing else."""
