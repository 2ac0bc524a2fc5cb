"""People who come in by the pages, as they would: by what an operator hands them."""

import html
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from web.browsing import Answer, Browser, Plane

PASSWORD = "a long way to Houston 7"
TIME_OF_A_SESSION = 11 * 60
"""Seconds after which a sign-in no longer counts as a fresh one."""


@dataclass
class Visitor:
    """Somebody with a browser who fills forms in."""

    plane: Plane
    browser: Browser

    def get(self, path: str) -> Answer:
        return self.browser.get(path)

    def send(self, page: str, to: str | None = None, **fields: str) -> Answer:
        """What a form of this page is answered with."""
        shown = self.browser.get(page)
        return self.browser.post(to or page, csrfmiddlewaretoken=token_of(shown.text), **fields)

    def age(self, seconds: float = TIME_OF_A_SESSION) -> None:
        """Make the session older."""
        self.plane.tell("age", self.browser.cookies["vis_session"], str(seconds))

    @property
    def is_in(self) -> bool:
        return self.get("/").status == 200


def visitor(plane: Plane) -> Visitor:
    return Visitor(plane, plane.browser())


def token_of(page: str) -> str:
    return re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[1]


def invited(office, email: str, *roles: str) -> str:
    """The path of an invitation's link, as the operator's page shows it."""
    page = office.browser.get("/settings/members").text
    fields = {"csrfmiddlewaretoken": token_of(page), "email": email, "roles": list(roles) or ["finance"]}
    answer = office.browser.post("/settings/members", **fields)
    shown = re.search(r'<code class="secret">(.*?)</code>', answer.text)
    assert shown, answer.text
    return urlsplit(html.unescape(shown[1])).path


def joined(office, email: str, *roles: str, password: str = PASSWORD) -> Visitor:
    """A new member with a password, signed in."""
    new = visitor(office.plane)
    answer = new.send(invited(office, email, *roles), name="Dana Ortiz", password=password)
    assert (answer.status, answer.headers["location"]) == (302, "/home"), answer.text
    return new


def signed_in(
    plane: Plane, email: str, password: str = PASSWORD, page: str = "/login"
) -> tuple[Visitor, Answer]:
    """Somebody at the sign-in page, and what they are answered."""
    there = visitor(plane)
    return there, there.send(page, "/login", login=email, password=password)


def change(office, email: str, what: str, **fields: object) -> Answer:
    """The operator's change of a member."""
    token = token_of(office.browser.get("/settings/members").text)
    return office.browser.post(
        "/settings/members/change", csrfmiddlewaretoken=token, member=email, change=what, **fields
    )


def acts(office) -> list[tuple[str, str, dict]]:
    """The organisation's administrative acts, the oldest first."""
    with office.plane.database.as_role("vis_auditor") as connection:
        return connection.execute(
            "select kind, actor, detail from vis.admin_events where org_id = %s order by seq", [office.org_id]
        ).fetchall()
