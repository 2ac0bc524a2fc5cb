"""Three Mondays on the whole product: somebody left, a key leaked, a figure is asked for (H3, K7, S6, F6).

The provider is the sandbox under a provider's name, so that its calls count as spend: simulated.
"""

import csv
import io
import re
from collections.abc import Iterator
from decimal import Decimal

import pytest
from playwright.sync_api import Page, expect

from gateway.calls import Caller
from product import Product, running, set_up

PATH = "/v1/messages"


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    with running() as made:
        set_up(made)
        made.run("provider", "add", "anthropic", "--base-url", made.sandbox, stdin="sk-any\n")
        yield made


@pytest.fixture
def page(new_page, product) -> Page:
    """Somebody signed in by a link of their own."""
    made = new_page()
    made.goto(product.run("login").strip().splitlines()[-1])
    return made


def spent(product: Product) -> Caller:
    """A key of Alice's that made a call."""
    caller = Caller(product, product.issue())
    product.until(lambda: caller.post(PATH, "monday").status == 200)
    return caller


def fact(page: Page, name: str) -> str:
    return page.locator("dl.facts > div").filter(has=page.get_by_text(name)).locator("dd").inner_text()


def lead(page: Page) -> Decimal:
    text = page.locator(".lead-figure dd").first.inner_text()
    return Decimal(re.search(r"[0-9][0-9,.]*", text)[0].replace(",", ""))


def test_somebody_leaves_and_no_call_succeeds_after(page, product):
    caller = spent(product)
    page.goto(f"{product.summary['web']}/people")
    page.get_by_role("link", name="Alice K.").click()
    page.get_by_label("Reason").fill("left the company")
    page.get_by_role("button", name="Revoke all access").click()
    expect(page.get_by_role("heading", name="Offboarding evidence")).to_be_visible()
    product.until(lambda: caller.post(PATH, "after").status == 401)
    product.until(lambda: product.query("select from vis.request_logs where decision = 'refused'"))
    page.reload()
    assert lead(page) == 0
    expect(
        page.get_by_text("No key of theirs works, and nothing was served for one after its end.")
    ).to_be_visible()
    assert int(fact(page, "Attempts refused after")) >= 1
    assert "left the company" in fact(page, "Why")
    page.goto(f"{product.summary['web']}/?decision=refused&agent=alice%40arctrade")
    assert page.locator("#rows tr").count() >= 1


def test_a_key_leaks_and_its_cap_answers_for_it(page, product):
    leaked = Caller(product, product.issue("--cap", "0.000001/day", agent="alice@arctrade"))
    product.until(lambda: leaked.post(PATH, "leaked").status == 402)

    def is_counted() -> bool:
        page.goto(f"{product.summary['web']}/security")
        return int(fact(page, "402").replace(",", "")) >= 1

    product.until(is_counted)
    expect(page.get_by_text("None of them was answered by a provider. They cost 0 USD.")).to_be_visible()


def test_a_signed_figure_opens_without_an_account_and_is_the_total_of_the_file(new_page, page, product):
    spent(product)
    web = product.summary["web"]
    page.goto(f"{web}/finance")
    page.get_by_role("link", name="Sign a figure").click()
    page.get_by_label("Project").fill("HPC")
    page.get_by_role("button", name="Sign this figure").click()
    link = page.locator("#signed code.secret").inner_text()
    file = page.context.request.get(f"{web}/finance/chargeback.csv?project=HPC")
    total = list(csv.DictReader(io.StringIO(file.text())))[-1]
    assert total["created_at"] == "TOTAL"
    stranger = new_page()
    stranger.goto(link)
    expect(stranger.get_by_text("The ledger gives the same figure today.")).to_be_visible()
    assert lead(stranger) == Decimal(total["cost_usd"]) > 0
    stranger.goto(f"{web}/finance")
    assert "/login" in stranger.url
