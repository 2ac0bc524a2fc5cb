"""vis: the commands. Each imports what it needs when it runs, so that `vis --help` answers at once."""

from visionality.cli.main import main

__all__ = ["main"]
