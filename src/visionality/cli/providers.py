"""`vis provider add|list|remove`."""

import os
import sys

import click

from visionality.cli.installation import Installation, installation
from visionality.cli.listing import add_list

provider_command = click.Group("provider", help="Providers: where calls go, and the keys that pay for them.")

_NAMES = click.Choice(["openai", "anthropic"])


@provider_command.command(
    "add",
    epilog="Example: vis provider add anthropic --key-env ANTHROPIC_API_KEY",
    short_help="Set a provider's key.",
)
@click.argument("name", type=_NAMES)
@click.option("--base-url", help="Another address that speaks the same dialect, OpenAI's with its /v1.")
@click.option(
    "--key-env",
    help="The environment variable that holds the key; without it the key is read from standard input.",
)
@click.option(
    "--on-abort",
    type=click.Choice(["drain", "cancel"]),
    default="drain",
    show_default=True,
    help="When a client leaves a stream: read on to its usage report, or end it and estimate.",
)
@installation
def _add(here: Installation, name: str, base_url: str | None, key_env: str | None, on_abort: str) -> None:
    """Set the key of a provider; an earlier one is retired. The key is never given as an argument."""
    from visionality.gateway.providers import BY_NAME

    address = _address(base_url or BY_NAME[name].base_url)
    secret = _secret(name, key_env)
    keys = here.keys()
    with here.control() as act:
        from visionality.web.policy import acts

        acts.add_provider(act, keys, name, address, on_abort, secret)
    click.echo(f"calls of {name} now go to {address}")


@provider_command.command("remove", epilog="Example: vis provider remove anthropic")
@click.argument("name", type=_NAMES)
@installation
def _remove(here: Installation, name: str) -> None:
    """Retire a provider's key."""
    with here.control() as act:
        from visionality.web.policy import acts

        acts.remove_provider(act, name)
    click.echo(f"the key of {name} is retired")


def _address(url: str) -> str:
    if not url.startswith(("https://", "http://")):
        raise click.UsageError(f"--base-url {url}: expected an address that starts with https://")
    return url.rstrip("/")


def _secret(name: str, key_env: str | None) -> bytes:
    if key_env is not None:
        text = os.environ.get(key_env, "")
        if not text:
            raise click.UsageError(f"the environment variable {key_env} is empty or not set")
    elif sys.stdin.isatty():
        text = click.prompt(f"Key of {name}", hide_input=True)
    else:
        text = sys.stdin.readline()
    text = text.strip()
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise click.UsageError("no key came: expected one line of printable characters without spaces")
    return text.encode()


add_list(provider_command, "provider")
