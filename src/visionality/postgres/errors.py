"""The one family of errors of this room, so that a command can catch them in one place."""


class PostgresFault(Exception):
    """The embedded PostgreSQL cannot be used; the message says what came and what to do."""
