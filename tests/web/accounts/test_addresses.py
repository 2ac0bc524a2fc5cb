"""Behind a proxy that ends TLS, and with a mail server: cookies, links and mail name the address that was set (attack 32)."""

import re
import socket
import threading
from email import message_from_bytes

import pytest
from aiosmtpd.controller import Controller

from web.accounts.people import PASSWORD, invited, joined, token_of, visitor
from web.browsing import plane_on

PUBLIC = "https://spend.example"
OURS = {"Host": "spend.example", "Origin": PUBLIC}


class Inbox:
    """Keeps the letters that it takes; `came` is set with each."""

    def __init__(self) -> None:
        self.letters: list[tuple[str, str]] = []
        self.came = threading.Event()

    async def handle_DATA(self, _server, _session, envelope):
        words = message_from_bytes(envelope.content).get_payload(decode=True).decode()
        self.letters.append((envelope.rcpt_tos[0], words))
        self.came.set()
        return "250 taken"

    def letter_to(self, address: str) -> str:
        assert self.came.wait(10)
        return next(words for to, words in reversed(self.letters) if to == address)


@pytest.fixture(scope="module")
def inbox():
    kept = Inbox()
    with socket.create_server(("127.0.0.1", 0)) as free:
        kept.port = free.getsockname()[1]
    server = Controller(kept, hostname="127.0.0.1", port=kept.port)
    server.start()
    try:
        yield kept
    finally:
        server.stop()


@pytest.fixture(scope="module")
def outside(plane, inbox):
    with plane_on(plane.database, "no sandbox", PUBLIC, f"smtp://127.0.0.1:{inbox.port}") as running:
        yield running


def test_over_tls_cookies_are_of_this_host_alone(outside, office):
    cookies = outside.browser().get(outside.link(office.org_id), **OURS).headers["set-cookie"]
    assert "__Host-vis_session=" in cookies
    for word in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
        assert word in cookies
    assert "Domain" not in cookies


def test_a_form_is_taken_from_that_address_and_from_no_other(outside, office):
    browser = outside.browser()
    browser.get(outside.link(office.org_id), **OURS)
    token = token_of(browser.get("/settings/members", **OURS).text)
    for origin, status in (
        ("https://evil.example", 403),
        ("http://spend.example.evil.example", 403),
        (PUBLIC, 200),
    ):
        answer = browser._ask(
            "POST",
            "/settings/members",
            f"csrfmiddlewaretoken={token}&email=m@houston.example&roles=finance".encode(),
            {**OURS, "Origin": origin, "content-type": "application/x-www-form-urlencoded"},
        )
        assert answer.status == status, origin


def test_an_invitation_goes_by_mail_with_the_address_that_was_set(outside, office, inbox):
    browser = outside.browser()
    browser.get(outside.link(office.org_id), **OURS)
    token = token_of(browser.get("/settings/members", **OURS).text)
    answer = browser._ask(
        "POST",
        "/settings/members",
        f"csrfmiddlewaretoken={token}&email=mail@houston.example&roles=finance".encode(),
        {**OURS, "Host": "localhost", "content-type": "application/x-www-form-urlencoded"},
    )
    assert "It went out by mail as well" in answer.text, answer.text
    assert f"{PUBLIC}/join/" in inbox.letter_to("mail@houston.example")


def test_a_forgotten_password_goes_by_mail_and_a_request_with_another_host_changes_nothing_of_its_link(
    outside, office, inbox
):
    joined(office, "forgot@houston.example")
    browser = outside.browser()
    token = token_of(browser.get("/password/forgotten", Host="localhost").text)
    answer = browser._ask(
        "POST",
        "/password/forgotten",
        f"csrfmiddlewaretoken={token}&email=forgot@houston.example".encode(),
        {"Host": "localhost", "content-type": "application/x-www-form-urlencoded"},
    )
    assert answer.status == 302, answer.text
    link = re.search(r"https?://\S+", inbox.letter_to("forgot@houston.example"))[0]
    assert link.startswith(f"{PUBLIC}/password/new/")
    there = visitor(office.plane)
    form = there.get(link.removeprefix(PUBLIC)).headers["location"]
    fresh = "a new long way to Houston 9"
    assert there.send(form, password1=fresh, password2=fresh).status == 302
    assert (
        visitor(office.plane).send("/login", login="forgot@houston.example", password=PASSWORD).status == 200
    )
    assert visitor(office.plane).send("/login", login="forgot@houston.example", password=fresh).status == 302
    assert "does not work any more" in visitor(office.plane).get(link.removeprefix(PUBLIC)).text


def test_a_host_that_is_neither_is_refused(outside):
    for host in ("evil.example", "spend.example.evil.example", "spend.example:1@evil.example"):
        assert outside.browser().get("/login", Host=host).status == 400


def test_where_no_mail_is_sent_the_page_says_who_can_help(office):
    there = visitor(office.plane)
    assert "vis member password" in there.send("/password/forgotten", email="x@houston.example").text
    assert invited(office, "nomail@houston.example").startswith("/join/")
