"""`vis try`: one call through the gateway, as any client would send it, and the row that it became."""

import json
import time
import urllib.error
import urllib.request
from datetime import timedelta
from typing import Any
from uuid import UUID

import click

from visionality.cli.installation import Installation, installation
from visionality.core.trial import AGENT, PROJECT

MODEL = "claude-sonnet-4-6"


@click.command(epilog="Example: vis try --prompt 'Say hello'")
@click.option("--prompt", default="Say in one sentence what a ledger is.", show_default=True)
@click.option("--model", default=MODEL, show_default=True, help="An Anthropic model.")
@installation
def try_command(here: Installation, prompt: str, model: str) -> None:
    """Send one streamed call through the gateway and show its row.

    Issues a key that lives one hour, for the agent first-call@localhost and the project TRY.
    """
    gateway = here.addresses()["gateway"]
    handle = _hour_key(here)
    click.echo(
        f'$ curl {gateway}/v1/messages -H \'x-api-key: {handle[:12]}…\' -d \'{{"model":"{model}","stream":true,…}}\'\n'
    )
    request_id = _stream(gateway, handle, model, prompt)
    click.echo("\n\nThe row that it became:\n")
    for name, value in _row(here, request_id).items():
        click.echo(f"  {name:<18} {value}")
    click.echo(
        f"\nA client of yours takes two variables:\n  ANTHROPIC_BASE_URL={gateway}  ANTHROPIC_API_KEY=<vis key issue>"
    )


def _hour_key(here: Installation) -> str:
    keys = here.keys()
    with here.control() as act:
        from visionality.web.issuing import keys as issuing
        from visionality.web.issuing.bindings import Bindings
        from visionality.web.policy import acts as policy

        for add in (
            lambda: policy.add_project(act, PROJECT, "First calls", None, ""),
            lambda: policy.add_agent(act, AGENT, "First caller", None, None),
        ):
            try:
                add()
            except policy.AlreadyThere:
                continue
        bound = Bindings(agent=AGENT, project=PROJECT, memo="vis try", lifetime=timedelta(hours=1))
        return issuing.issue(act, keys, bound)[1]


def _stream(gateway: str, handle: str, model: str, prompt: str) -> UUID:
    body = {
        "model": model,
        "max_tokens": 200,
        "stream": True,
        "messages": [{"role": "user", "content": prompt}],
    }
    headers = {"x-api-key": handle, "anthropic-version": "2023-06-01", "content-type": "application/json"}
    request = urllib.request.Request(f"{gateway}/v1/messages", json.dumps(body).encode(), headers)  # noqa: S310 -- our own loopback address
    give_up = time.monotonic() + 3
    while True:
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
                for line in answer:
                    _print_text(line)
                return UUID(answer.headers["x-vis-request-id"])
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace")
            if error.code == 401 and "spend_token_invalid" in text and time.monotonic() < give_up:
                time.sleep(0.1)  # the key is a moment old; gateways learn of it within a second
                continue
            raise click.ClickException(f"the gateway answered {error.code}: {text}") from None


def _print_text(line: bytes) -> None:
    if line.startswith(b"data:"):
        delta: dict[str, Any] = json.loads(line[5:]).get("delta") or {}
        click.echo(delta.get("text", ""), nl=False)


def _row(here: Installation, request_id: UUID) -> dict[str, object]:
    from visionality.ledger import reader

    with here.reading() as (connection, org_id):
        row = reader.shown(reader.one(connection, org_id, request_id)[0])
    names = (
        "id",
        "created_at",
        "project_id",
        "agent_sub",
        "agent_owner",
        "provider",
        "model_used",
        "input_tokens",
        "output_tokens",
        "usage_source",
        "cost_usd",
        "rates",
        "decision",
        "latency_ms",
        "leaf_hash",
    )
    return {name: row[name] for name in names}
