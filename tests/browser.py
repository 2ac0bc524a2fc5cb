"""A real browser for tests of pages: Debian's Chromium, driven by Playwright, without a network but loopback.

A room's conftest says `from browser import chromium, new_page`, and its tests ask for `new_page`.
"""

import fcntl
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, sync_playwright

PROGRAM = "chromium"
QUIET = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-gpu",
    "--no-sandbox",  # Chromium refuses to be root in one; the pages are ours
)
INSTALL_WITHIN = 600
PATIENCE_MS = 15_000
NARROW, WIDE = {"width": 400, "height": 900}, {"width": 1280, "height": 900}


def program() -> str:
    """Where Chromium is, installed first where Debian's packages can be had."""
    if shutil.which(PROGRAM) is None and shutil.which("apt-get"):
        with (Path(tempfile.gettempdir()) / "visionality-tests-apt.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # of several workers one installs, and the others find it there
            if shutil.which(PROGRAM) is None:
                _install()
    found = shutil.which(PROGRAM)
    if found is None:
        pytest.skip(f"{PROGRAM} is not on this machine, and there is no apt-get to install it by")
    return found


def _install() -> None:
    for words in (["update", "-q"], ["install", "-qy", "--no-install-recommends", PROGRAM]):
        done = subprocess.run(
            ["apt-get", *words], capture_output=True, text=True, timeout=INSTALL_WITHIN, check=False
        )
        if done.returncode:
            pytest.fail(
                f"apt-get {words[0]} ended with {done.returncode}: {(done.stderr or done.stdout)[-600:]}"
            )


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for the tests of a module: while it is open, its thread has a running event loop, and no other can run there."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program(), args=list(QUIET))
        try:
            yield browser
        finally:
            browser.close()


@pytest.fixture
def new_page(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Makes pages, each of a person of its own: `new_page(viewport=NARROW, color_scheme="dark")`."""
    with ExitStack() as open_ones:

        def made(**options: Any) -> Page:
            context: BrowserContext = chromium.new_context(**{"viewport": WIDE, **options})
            open_ones.callback(context.close)
            context.set_default_timeout(PATIENCE_MS)
            return context.new_page()

        yield made


def with_authenticator(page: Page) -> CDPSession:
    """Give a page a passkey authenticator that says yes (Chrome DevTools Protocol, `WebAuthn`). Returns its session."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return session
