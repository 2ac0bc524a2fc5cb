"""vis: the commands."""
