"""A real OpenID Connect issuer (npm, oidc-provider), and a person who walks through it."""

import html
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from npm.modules import Modules
from web.accounts.people import Visitor, token_of
from web.browsing import Answer, Browser

PACKAGE = Path(__file__).parents[2] / "npm" / "oidc" / "package.json"
PEOPLE = {
    "00u-dana": {"email": "dana@houston.example", "email_verified": True, "name": "Dana Ortiz"},
    "00u-ann": {"email": "ann@houston.example", "email_verified": True, "name": "Ann Lee"},
    "00u-eve": {"email": "dana@houston.example", "email_verified": False, "name": "Dana Ortiz"},
    "00u-word": {"email": "dana@houston.example", "email_verified": "false", "name": "Dana Ortiz"},
    "00u-far": {"email": "far@elsewhere.example", "email_verified": True, "name": "Far"},
    "00u-bare": {},
}


@dataclass(frozen=True)
class Issuer:
    address: str

    @property
    def port(self) -> int:
        return urlsplit(self.address).port

    def register(self, redirect: str) -> tuple[str, str]:
        """A new client of the issuer: its id and its secret."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            asked = {"redirect_uris": [redirect], "token_endpoint_auth_method": "client_secret_post"}
            connection.request("POST", "/reg", json.dumps(asked), {"content-type": "application/json"})
            made = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return made["client_id"], made["client_secret"]

    def walk(self, url: str, sub: str) -> str:
        """Sign in at the issuer as this subject and say yes to all; where it sends the browser in the end."""
        browser = Browser(self.port)
        answer = browser.get(path_of(url))
        while True:
            while answer.status in {302, 303}:
                to = answer.headers["location"]
                if "code=" in to or "error=" in to:
                    return to
                answer = browser.get(path_of(to))
            form = re.search(r'<form[^>]*action="([^"]+)"', answer.text)
            assert form, answer.text
            kind = re.search(r'name="prompt" value="(\w+)"', answer.text)[1]
            said = {"prompt": kind} | ({"login": sub, "password": "x"} if kind == "login" else {})
            answer = browser.post(path_of(html.unescape(form[1])), **said)


@contextmanager
def running(modules: Modules) -> Iterator[Issuer]:
    with modules.running("oidc_issuer", PEOPLE=json.dumps(PEOPLE)) as process:
        yield Issuer(process.stdout.readline().strip())


def set_up(office, issuer: Issuer, **fields: object) -> None:
    """The operator's page of the sign-on, filled in."""
    there = Visitor(office.plane, office.browser)
    page = there.get("/settings/sign-in").text
    redirect = html.unescape(re.search(r'<code class="secret">(.*?)</code>', page)[1])
    client_id, secret = issuer.register(redirect)
    given = {"title": "Acme", "issuer": issuer.address, "client_id": client_id, "secret": secret, **fields}
    answer = office.browser.post("/settings/sign-in", csrfmiddlewaretoken=token_of(page), **given)
    assert answer.status == 302, answer.text


def leave(there: Visitor, org: str = "", **fields: str) -> str:
    """Where the issuer is asked, with what."""
    answer = there.send(f"/login?org={org}", "/login/company", **{"org": org, **fields})
    return address_in(answer)


def address_in(answer: Answer) -> str:
    assert answer.status == 200, answer.text
    return html.unescape(re.search(r'content="0; url=([^"]+)"', answer.text)[1])


def come_back(there: Visitor, url: str) -> Answer:
    return there.get(path_of(url))


def path_of(url: str) -> str:
    parts = urlsplit(url)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def asked(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
