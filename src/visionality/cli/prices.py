"""`vis price set|list|show`."""

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

import click

from visionality.cli.installation import Installation, installation
from visionality.cli.listing import add_list
from visionality.runtime.clock import utc_now

price_command = click.Group("price", help="Prices in USD per million tokens.")


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


@price_command.command(
    "set",
    epilog="Example: vis price set anthropic claude-sonnet-4-6 --input 2.70 --output 13.50 --source 'contract 2026-11'",
)
@click.argument("provider", type=click.Choice(["openai", "anthropic"]))
@click.argument("model")
@click.option("--input", "input_usd", type=Usd(), required=True, help="Fresh input, USD per million tokens.")
@click.option(
    "--output",
    "output_usd",
    type=Usd(),
    required=True,
    help="Output, reasoning included, USD per million tokens.",
)
@click.option("--cache-read", type=Usd(), help="Cached input; the input price when left out.")
@click.option(
    "--cache-write", type=Usd(), help="Writing the cache (5 minutes); the input price when left out."
)
@click.option(
    "--cache-write-1h", type=Usd(), help="Writing the cache for an hour; as --cache-write when left out."
)
@click.option("--web-search", type=Usd(), help="A thousand web searches; unpriced when left out.")
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
    input_usd: Decimal,
    output_usd: Decimal,
    cache_read: Decimal | None,
    cache_write: Decimal | None,
    cache_write_1h: Decimal | None,
    web_search: Decimal | None,
    effective: datetime | None,
    source: str,
    yes: bool,
) -> None:
    """Set a dated price above the bundled catalogue. It is appended; earlier rows keep the price they had."""
    write = input_usd if cache_write is None else cache_write
    rates = {
        **dict.fromkeys(("in_text", "in_image", "in_audio"), input_usd),
        **dict.fromkeys(("out_text", "out_reasoning", "out_audio", "out_rejected_prediction"), output_usd),
        "cache_read": input_usd if cache_read is None else cache_read,
        "cache_write_5m": write,
        "cache_write_other": write,
        "cache_write_1h": write if cache_write_1h is None else cache_write_1h,
    }
    if web_search is not None:
        rates["web_search"] = web_search * 1000
    start = effective.replace(tzinfo=UTC) if effective else utc_now()
    total = f"{input_usd + output_usd:f}"
    click.echo(
        f"{provider} {model} from {start:%Y-%m-%d %H:%M} UTC: 1M in + 1M out would cost {total} USD", err=True
    )
    if not yes:
        click.confirm("Save this price?", abort=True, err=True)
    with here.control() as act:
        from visionality.web.policy import acts

        made = acts.set_price(act, provider, model, rates, start, source)
    click.echo(f"price version {made.version} saved")


add_list(price_command, "price")
