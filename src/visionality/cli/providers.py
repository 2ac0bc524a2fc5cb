"""`vis provider add|list|remove`."""

import os
from typing import Any
from urllib.parse import urlsplit

import click

from visionality.cli.installation import Installation, installation
from visionality.cli.listing import add_list
from visionality.cli.secret import checked_secret, read_secret

provider_command = click.Group("provider", help="Providers: where calls go, and the keys that pay for them.")

NAME_LIMIT = 200
"""Characters of a model's name, as a row keeps it."""


class ProviderName(click.ParamType[str]):
    """A provider that the gateway knows, or a name of one's own for a server that speaks OpenAI's format."""

    name = "NAME"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from visionality.gateway.providers import BY_NAME, named

        name = str(value)
        if named(name) is None:
            known = ", ".join(BY_NAME)
            self.fail(
                f"{name!r} cannot be a provider: expected {known}, or a name of your own of 2 to 40 small letters, "
                "digits and hyphens that is none of the gateway's own paths",
                param,
                ctx,
            )
        return name


class Deployment(click.ParamType[tuple[str, str]]):
    """The name that calls ask for, and the model that answers to it."""

    name = "NAME=MODEL"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        name, _, model = str(value).partition("=")
        if not all(0 < len(one) <= NAME_LIMIT and one.isprintable() for one in (name, model)):
            self.fail(f"{value!r} is no deployment: expected NAME=MODEL", param, ctx)
        return name, model


@provider_command.command(
    "add",
    epilog="""\b
Example: vis provider add anthropic --key-env ANTHROPIC_API_KEY
  vis provider add openrouter --key-env OPENROUTER_API_KEY
  vis provider add google --key-env GEMINI_API_KEY
  vis provider add azure --base-url https://acme.openai.azure.com --deployment chat-eu=gpt-5
  vis provider add bedrock --base-url https://bedrock-runtime.eu-central-1.amazonaws.com
  vis provider add litellm --base-url https://llm.acme.example/v1
  vis provider add vllm --base-url http://10.0.0.5:8000/v1""",
    short_help="Set a provider's key.",
)
@click.argument("name", type=ProviderName())
@click.option(
    "--base-url",
    help="Where it stands, in OpenAI's format with its /v1. Needed where the provider has no public address.",
)
@click.option(
    "--key-env",
    help="The environment variable that holds the key; without it the key is read from standard input.",
)
@click.option(
    "--deployment",
    "deployments",
    type=Deployment(),
    multiple=True,
    help="A deployment's name and the model that it runs, which prices it; once for each.",
)
@click.option(
    "--on-abort",
    type=click.Choice(["drain", "cancel"]),
    default="drain",
    show_default=True,
    help="When a client leaves a stream: read on to its usage report, or end it and estimate.",
)
@click.option(
    "--retries",
    type=click.IntRange(0, 2),
    default=0,
    show_default=True,
    help="How often to try again after 429, 5xx or no connection, each time with a row; SDKs do so by themselves.",
)
@installation
def _add(
    here: Installation,
    name: str,
    *,
    base_url: str | None,
    key_env: str | None,
    deployments: tuple[tuple[str, str], ...],
    on_abort: str,
    retries: int,
) -> None:
    """Set the key of a provider; an earlier one is retired. The key is never given as an argument.

    NAME is a provider that the gateway knows, or a name of your own for any server that speaks OpenAI's Chat
    Completions: its clients then use /NAME/v1 of the gateway.
    """
    address = _address(name, base_url)
    secret = _secret(name, key_env)
    options: dict[str, Any] = {"models": dict(deployments)} if deployments else {}
    if retries:
        options["retries"] = retries
    keys = here.keys()
    with here.control() as act:
        from visionality.web.policy import acts

        acts.add_provider(act, keys, name, address, on_abort, secret, options)
    click.echo(f"calls of {name} now go to {address}")


@provider_command.command("remove", epilog="Example: vis provider remove anthropic")
@click.argument("name", type=ProviderName())
@installation
def _remove(here: Installation, name: str) -> None:
    """Retire a provider's key."""
    with here.control() as act:
        from visionality.web.policy import acts

        acts.remove_provider(act, name)
    click.echo(f"the key of {name} is retired")


def _address(name: str, base_url: str | None) -> str:
    """Where the calls go. Raises UsageError."""
    from visionality.gateway.providers import BY_NAME
    from visionality.runtime.destination import is_address, is_refused

    if base_url is None:
        known = BY_NAME.get(name)
        if known is None or not known.base_url:
            raise click.UsageError(f"{name} stands at no fixed address: say it with --base-url")
        return known.base_url
    if not is_address(base_url):
        raise click.UsageError(
            f"--base-url {base_url}: expected an address that starts with https://, without key, query or space"
        )
    if is_refused(urlsplit(base_url).hostname or ""):
        raise click.UsageError(f"--base-url {base_url}: no call may go to a machine's metadata service")
    return base_url.rstrip("/")


def _secret(name: str, key_env: str | None) -> bytes:
    if key_env is None:
        return read_secret(f"Key of {name}")
    text = os.environ.get(key_env, "")
    if not text:
        raise click.UsageError(f"the environment variable {key_env} is empty or not set")
    return checked_secret(text)


add_list(provider_command, "provider")
