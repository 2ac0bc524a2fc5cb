"""A secret from standard input or a prompt, never an argument: arguments are seen by everybody on the machine."""

import sys

import click


def read_secret(prompt: str) -> bytes:
    """One line. Raises UsageError when it is none, or holds what no header takes."""
    text = click.prompt(prompt, hide_input=True) if sys.stdin.isatty() else sys.stdin.readline()
    return checked_secret(text)


def checked_secret(text: str) -> bytes:
    text = text.strip()
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise click.UsageError("no key came: expected one line of printable characters without spaces")
    return text.encode()
