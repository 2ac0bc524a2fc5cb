"""A person at the web plane: a cookie jar and plain HTTP."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import UUID

from conftest import Database

SERVE = Path(__file__).with_name("serve.py")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    text: str


@dataclass
class Browser:
    """Keeps cookies and follows nothing, so that a test sees each redirect."""

    port: int
    cookies: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, method: str = "GET", **headers: str) -> Answer:
        return self._ask(method, path, None, headers)

    def post(self, path: str, **fields: str | list[str]) -> Answer:
        headers = {"content-type": "application/x-www-form-urlencoded"}
        return self._ask("POST", path, urlencode(fields, doseq=True).encode(), headers)

    def _ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        jar = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body, headers | ({"cookie": jar} if jar else {}))
            response = connection.getresponse()
            answer = Answer(
                response.status,
                {name.lower(): value for name, value in response.getheaders()},
                response.read().decode(),
            )
            for line in response.headers.get_all("set-cookie") or []:
                for name, morsel in SimpleCookie(line).items():
                    self.cookies[name] = morsel.value
        finally:
            connection.close()
        self.cookies = {name: value for name, value in self.cookies.items() if value}
        return answer


@dataclass(frozen=True)
class Plane:
    """A running web plane on a database."""

    database: Database
    port: int
    process: subprocess.Popen[str]

    def browser(self) -> Browser:
        return Browser(self.port)

    def tell(self, *words: str) -> Any:
        """Ask the process for something that no page says."""
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def statements(self, browser: Browser, path: str) -> list[str]:
        """The SQL statements that answering this address takes, sign-in and all."""
        self.tell("statements")
        assert browser.get(path).status == 200
        return self.tell("statements")

    def link(self, org_id: UUID, actor: str = "operator") -> str:
        """The path of a fresh sign-in link."""
        url = self.tell("link", str(org_id), actor)
        assert url.startswith(f"http://127.0.0.1:{self.port}/login/")
        return urlsplit(url).path

    def signed_in(self, org_id: UUID, actor: str = "operator") -> Browser:
        browser = self.browser()
        assert browser.get(self.link(org_id, actor)).headers["location"] == "/home"
        return browser


@contextmanager
def plane_on(
    database: Database, sandbox: str, public_url: str = "", smtp_url: str = "", hops: int = 0
) -> Iterator[Plane]:
    command = [
        sys.executable,
        "-W",
        "error",
        str(SERVE),
        database.dsn("vis_web"),
        database.dsn("vis_reader"),
        sandbox,
        public_url,
        smtp_url,
        str(hops),
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Plane(database, int(process.stdout.readline()), process)
        finally:
            process.stdin.close()
            assert process.wait(10) == 0
