"""Where somebody may be sent after they signed in: to a path of ours (attack 34)."""

from django.utils.http import url_has_allowed_host_and_scheme

LONGEST = 2000
"""Characters: it is kept in a session while somebody is away at their sign-on."""


def safe_path(wanted: str | None, otherwise: str) -> str:
    """The path that was asked for where it is one of this origin, and nothing else that a browser could take for it."""
    return wanted if wanted and is_safe_path(wanted) else otherwise


def is_safe_path(wanted: str) -> bool:
    return (
        len(wanted) <= LONGEST
        and wanted.startswith("/")
        and url_has_allowed_host_and_scheme(wanted, allowed_hosts=None)
    )
