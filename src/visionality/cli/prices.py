"""`vis price set|list|show`."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

import click

from visionality.cli.installation import Installation, installation, report
from visionality.cli.listing import add_list
from visionality.cli.providers import ProviderName
from visionality.pricebook.said import rates_of
from visionality.runtime.clock import utc_now

price_command = click.Group("price", help="Prices in USD per million tokens.")

_ECHOED = {
    "input_usd": "1M in",
    "output_usd": "1M out",
    "characters": "1M characters",
    "audio_hour": "an hour of audio",
    "image": "an image",
    "code_session": "a code session",
    "web_search": "1000 web searches",
    "file_search": "1000 file searches",
}


class Usd(click.ParamType[Decimal]):
    """An exact decimal amount that is not negative."""

    name = "USD"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        try:
            amount = Decimal(str(value))
        except InvalidOperation:
            self.fail(f"{value!r} is no decimal number", param, ctx)
        exponent = amount.as_tuple().exponent
        if (
            not amount.is_finite()
            or amount < 0
            or amount > 1_000_000
            or not isinstance(exponent, int)
            or exponent < -12
        ):
            self.fail(f"{value} is out of range: expected 0 to 1000000 with at most 12 decimals", param, ctx)
        return amount


class BucketRate(click.ParamType[tuple[str, Decimal]]):
    """A bucket of tokens and its own price."""

    name = "BUCKET=USD"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Decimal]:
        from visionality.core.usage import INPUT, OUTPUT

        if isinstance(value, tuple):
            return value
        bucket, _, usd = str(value).partition("=")
        if bucket not in INPUT + OUTPUT:
            self.fail(
                f"{bucket!r} is no bucket of tokens: expected one of {', '.join(INPUT + OUTPUT)}", param, ctx
            )
        return bucket, Usd().convert(usd, param, ctx)


@price_command.command(
    "set",
    epilog="""\b
Example: vis price set anthropic claude-sonnet-4-6 --input 2.70 --output 13.50 --source 'contract 2026-11'
  vis price set vllm llama-3.3-70b --input 0.20 --output 0.40
  vis price set openai gpt-image-1 --input 5 --output 40 --rate in_image=10
  vis price set openai dall-e-3 --image 0.04
  vis price set openai whisper-1 --audio-hour 0.36
  vis price set openai tts-1 --characters 15""",
)
@click.argument("provider", type=ProviderName())
@click.argument("model")
@click.option("--input", "input_usd", type=Usd(), help="Fresh input, USD per million tokens.")
@click.option(
    "--output",
    "output_usd",
    type=Usd(),
    help="Output, reasoning included, USD per million tokens; unpriced when left out.",
)
@click.option("--cache-read", type=Usd(), help="Cached input; the input price when left out.")
@click.option(
    "--cache-write", type=Usd(), help="Writing the cache (5 minutes); the input price when left out."
)
@click.option(
    "--cache-write-1h", type=Usd(), help="Writing the cache for an hour; as --cache-write when left out."
)
@click.option(
    "--rate",
    "own_rates",
    type=BucketRate(),
    multiple=True,
    help="What one bucket (docs/metering.md) costs instead, USD per million tokens; once for each.",
)
@click.option("--characters", type=Usd(), help="A million characters of speech; unpriced when left out.")
@click.option("--audio-hour", type=Usd(), help="An hour of audio that comes in; unpriced when left out.")
@click.option("--image", type=Usd(), help="An image that is billed by the piece; unpriced when left out.")
@click.option(
    "--code-session", type=Usd(), help="A container that ran the model's code; unpriced when left out."
)
@click.option("--web-search", type=Usd(), help="A thousand web searches; unpriced when left out.")
@click.option("--file-search", type=Usd(), help="A thousand file searches; unpriced when left out.")
@click.option(
    "--from", "effective", type=click.DateTime(["%Y-%m-%d"]), help="First day, UTC; now when left out."
)
@click.option("--source", default="operator", show_default=True, help="Where this price is from.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@installation
def _set(
    here: Installation,
    provider: str,
    model: str,
    *,
    own_rates: tuple[tuple[str, Decimal], ...],
    effective: datetime | None,
    source: str,
    yes: bool,
    **prices: Decimal | None,
) -> None:
    """Set a dated price above the bundled catalogue. It is appended; earlier rows keep the price they had."""
    rates = rates_of(prices) | dict(own_rates)
    if not rates:
        raise click.UsageError("say at least one price: --input and --output, or what else this model bills")
    start = effective.replace(tzinfo=UTC) if effective else utc_now()
    _warn_if_not_set_up(here, provider)
    click.echo(f"{provider} {model} from {start:%Y-%m-%d %H:%M} UTC: {_example(prices, own_rates)}", err=True)
    if not yes:
        click.confirm("Save this price?", abort=True, err=True)
    with here.control() as act:
        from visionality.web.policy import acts

        made = acts.set_price(act, provider, model, rates, start, source)
    click.echo(f"price version {made.version} saved")


def _example(prices: Mapping[str, Decimal | None], own_rates: tuple[tuple[str, Decimal], ...]) -> str:
    """What is about to be saved, as sums that a person can check."""
    given = {option: usd for option, usd in prices.items() if usd is not None}
    tokens = [option for option in ("input_usd", "output_usd") if option in given]
    told = []
    if tokens:
        total = sum((given[option] for option in tokens), Decimal(0))
        told.append(f"{' + '.join(_ECHOED[option] for option in tokens)} would cost {total:f} USD")
    told += [
        f"{words} {given[option]:f} USD"
        for option, words in _ECHOED.items()
        if option in given and option not in tokens
    ]
    told += [f"1M {bucket} {usd:f} USD" for bucket, usd in own_rates]
    return ", ".join(told)


def _warn_if_not_set_up(here: Installation, provider: str) -> None:
    with here.control() as act:
        from visionality.web.policy.lists import is_set_up

        known = is_set_up(act, provider)
    if not known:
        report(f"{provider} is not set up here; this price waits for `vis provider add {provider}`")


add_list(price_command, "price")
