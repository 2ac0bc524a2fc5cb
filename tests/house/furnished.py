"""A product with one of everything to look at: the demo's month, and by commands what the demo leaves out."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser

from product import Product, running
from visionality.runtime.clock import utc_now

ORG = "demo-arctrade"
NOBODY = "http://127.0.0.1:9"
"""Where nobody listens."""


@contextmanager
def furnished(rows: int) -> Iterator[Product]:
    with running(burn_every="1") as product:
        product.run("demo", "load", "arctrade", "--rows", str(rows))
        asked = ("--org", ORG)
        product.run(
            "connector", "add", "github", "--name", "code", "--base-url", NOBODY, *asked, stdin="for-show"
        )
        product.run("provider", "add", "google", *asked, stdin="for-show")
        product.run("limit", "set", "agent:derek@arctrade", "--tokens-per-minute", "50000", *asked)
        product.run("alert", "channel", "add", "email", "operations@arctrade.example", *asked)
        product.run(
            "key",
            "issue",
            "--agent",
            "derek@arctrade",
            "--project",
            "HPC",
            "--expires",
            "30d",
            "--envelope",
            *asked,
        )
        pack = str(product.data_dir.parent / "pack.json")
        month = f"{utc_now():%Y-%m}"
        product.run("evidence", "pack", "--all", "--rows", "none", "--month", month, "-o", pack, *asked)
        yield product


def signed_in(product: Product, browser: Browser) -> Any:
    """The cookies, as Playwright keeps them, of somebody with an account and every role, who was invited by an operator that
    came by a link and signed the figure of the month so far."""
    operator, invited = browser.new_context(), browser.new_context()
    try:
        page = operator.new_page()
        page.goto(product.run("login", "--org", ORG).split()[-1])
        page.goto(f"{product.summary['web']}/settings/members")
        page.get_by_label("E-mail address").fill("olga@arctrade.example")
        for box in page.locator("form[action$=members]").get_by_role("checkbox").all():
            box.check()
        page.get_by_role("button", name="Make the link").click()
        link = page.locator(".secret").inner_text()
        page = invited.new_page()
        page.goto(link)
        page.get_by_label("Your name").fill("Olga R.")
        page.get_by_label("Password").fill("a long enough password of olga")
        page.get_by_role("button", name="Make the account and join").click()
        page.goto(f"{product.summary['web']}/finance/figures")
        page.get_by_role("button", name="Sign this figure").click()
        page.locator("#signed").wait_for()
        return invited.storage_state()
    finally:
        operator.close()
        invited.close()
