"""A new user's Monday: from an empty installation to the first row on the page, by clicking (G6, deliver 7)."""

import subprocess
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from product import Product, running
from visionality.web.first_run.clients import CALLS


@pytest.fixture
def product() -> Iterator[Product]:
    """Nothing in it but the organisation; the sandbox is on."""
    with running() as made:
        yield made


def enter(page: Page, product: Product) -> None:
    """Sign in by the link that `vis up` printed, and go where the empty ledger leads."""
    page.goto(product.summary["login"])
    page.goto(product.summary["web"])
    page.get_by_role("link", name="Set up in five steps").click()


def to_the_key(page: Page) -> str:
    """Steps 1 to 4. Returns the line that puts the key into a shell."""
    page.get_by_role("link", name="Go on with the simulated provider").click()
    page.get_by_label("Name").fill("Houston Power Contract")
    page.get_by_role("button", name="Add the project").click()
    page.get_by_label("E-mail").fill("alice@arctrade.example")
    page.get_by_label("Name").fill("Alice K.")
    page.get_by_role("button", name="Add the person").click()
    page.get_by_role("button", name="Issue the key").click()
    return page.locator("#handle").inner_text()


def in_a_shell(product: Product, *lines: str) -> None:
    """Paste lines into a shell. A key that is a moment old is not yet known to every gateway."""
    script = "\n".join([*lines[:-1], lines[-1].replace("curl ", "curl -sSf ", 1)])

    def accepted() -> bool:
        done = subprocess.run(["bash", "-c", script], check=False, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 or "401" in done.stderr, done.stderr
        return done.returncode == 0

    product.until(accepted)


def the_row(page: Page) -> str:
    row = page.locator("#first-row tbody tr")
    expect(row).to_be_visible(timeout=30_000)
    return row.inner_text()


def is_alices(row: str) -> bool:
    return all(
        word in row for word in ("HPC", "alice@arctrade.example", "Alice K.", "allowed 200", "simulated")
    )


def test_a_new_user_gets_to_the_first_row_by_clicking(new_page, product):
    page = new_page()
    errors: list[str] = []
    page.on("console", lambda told: errors.append(told.text) if told.type == "error" else None)
    enter(page, product)
    exported = to_the_key(page)
    expect(page.get_by_text("Waiting for the first row.")).to_be_visible()
    in_a_shell(product, exported, page.locator("#call-line").inner_text())
    assert is_alices(the_row(page)), "the row comes by itself"
    page.get_by_role("link", name="Read the row").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert "/rows/" in page.url
    expect(page.get_by_role("link", name="Set up", exact=True)).to_have_count(0)
    assert not errors


def test_it_works_without_a_script(new_page, product):
    page = new_page(java_script_enabled=False)
    enter(page, product)
    exported = to_the_key(page)
    in_a_shell(product, exported, page.locator("#call-line").inner_text())
    page.get_by_role("link", name="Look again").click()
    assert is_alices(the_row(page))
    assert exported.partition("=")[2] not in page.content(), "the key is not shown again"
    page.get_by_role("link", name="Open the ledger").click()
    expect(page.locator("#rows tr")).to_have_count(1)


def test_the_first_call_of_each_provider_is_taken_as_it_is_written(new_page, product):
    page = new_page()
    enter(page, product)
    exported = to_the_key(page)
    for write in CALLS.values():
        in_a_shell(product, exported, write(product.gateway))
    rows = product.query("select decision, status_code, usage_source from vis.request_logs")
    assert len(rows) == len(CALLS)
    assert {tuple(row.values()) for row in rows} == {("allowed", 200, "provider_final")}
