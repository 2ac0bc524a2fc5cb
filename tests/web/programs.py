"""A program that asks the API under a service token."""

import json
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

from visionality.core.service_token import SCOPES
from visionality.runtime.ids import uuid7
from web.browsing import Plane
from web.conftest import Office

ROOT = "/api/v1/"
PATH = "/api/v1/identities"


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    content: Any


@dataclass(frozen=True)
class Program:
    """A program with a token; it has no cookies."""

    office: Office
    token_id: str
    token: str

    def ask(self, method: str, path: str = PATH, body: bytes | None = None, **headers: str) -> Reply:
        given = {"authorization": f"Bearer {self.token}"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        connection = HTTPConnection("127.0.0.1", self.office.plane.port, timeout=10)
        try:
            connection.request(method, path, body, given)
            response = connection.getresponse()
            content = response.read()
            named = {name.lower(): value for name, value in response.getheaders()}
        finally:
            connection.close()
        is_json = "json" in named.get("content-type", "")
        return Reply(response.status, named, json.loads(content) if content and is_json else content or None)

    def get(self, path: str = PATH) -> Reply:
        return self.ask("GET", path)

    def send(self, method: str, path: str, content: object = None, **headers: str) -> Reply:
        """Ask for a path below the API's root, with a body in JSON."""
        body = json.dumps({} if content is None else content).encode()
        if content is None and method in {"GET", "HEAD", "DELETE"}:
            return self.ask(method, ROOT + path, None, **headers)
        return self.ask(method, ROOT + path, body, content_type="application/json", **headers)

    def put(self, items: object, query: str = "?create=1") -> Reply:
        return self.ask("PUT", PATH + query, json.dumps(items).encode(), content_type="application/json")

    def put_csv(self, text: str, query: str = "?create=1") -> Reply:
        return self.ask("PUT", PATH + query, text.encode(), content_type="text/csv; charset=utf-8")


def program_of(office: Office, *scopes: str, days: int = 90) -> Program:
    told = office.plane.tell(
        "service-token", str(office.org_id), str(days), *(scopes or ("identities:write",))
    )
    return Program(office, *told)


def is_problem(reply: Reply, status: int) -> dict[str, Any]:
    assert reply.status == status, reply
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.content["status"] == status
    assert "set-cookie" not in reply.headers
    return reply.content


def told_of_itself(plane: Plane) -> None:
    """Give the installation its name, which a start of the product does when it opens its master key."""
    with plane.database.as_role("vis_web") as connection:
        connection.execute(
            "insert into vis.installation (installation_id, master_fingerprint) values (%s, '') on conflict do nothing",
            [uuid7()],
        )


def full_program(office: Office) -> Program:
    """A program that may do all."""
    told_of_itself(office.plane)
    return program_of(office, *SCOPES, days=365)
