"""All pages of the house, out of Django's URL map: each route with a page is covered by being there.

A page is an address of the map that answers GET with HTML. It is found as a person finds it: by links, from the ledger and
from the sign-in page on, the first link that leads to each route. So a room in web/rooms.py is found by its navigation.
"""

import json
import re
import subprocess
import sys
from collections import deque
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from playwright.sync_api import APIRequestContext, APIResponse

WEB = Path(__file__).parent.parent / "web"
MAP = """
import json, sys
sys.path.insert(0, sys.argv[1])
from visionality.web.start import start_django
start_django({})
from route_map import routes
print(json.dumps(routes()))
"""
SHAPES = {"uuid": r"[0-9a-f-]{36}", "int": r"\d+", "str": r"[^/]+", "path": r".+"}
NOTHING = {
    "uuid": "01991d3a-0000-7000-8000-000000000000",
    "int": "999999",
    "str": "nothing",
    "path": "nothing",
}
PARAMETER = re.compile(r"<(?:(\w+):)?\w+>")

ENTRANCE = ("/login", "/login/nothing")
"""Where somebody who is not signed in begins: the sign-in page, and a link that does not work any more."""

LED_TO_OTHERWISE = {
    "/rows": "a part of the ledger page, which asks for it itself when rows arrive",
    "/join/<str:token>": "an invitation's link, which is in a letter",
    "/password/forgotten/sent": "shown once a form was sent",
    "/start": "the first run, where somebody comes who signs in before there are rows; tests/web begins there",
    "/start/call": "a part of the first run, which asks for it itself until the first call",
    r"/^password/new/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>[0-9A-Za-z-]+)$": "a link for a new password, which is in a letter",
    "/password/new/done": "shown once a form was sent",
    "/login/second-factor": "shown between the password and the house",
    "/login/inactive": "shown to somebody who was disabled, at the sign-in",
    "/login/company/cancelled": "where the company's sign-on returns to",
    "/login/company/<uuid:provider_id>/callback": "where the company's sign-on returns to",
    "/confirm": "asked for before an act that matters, by the act",
    "/confirm/done": "where a confirmation returns to",
    "/confirm/password": "asked for before an act that matters, by the act",
    "/confirm/code": "asked for before an act that matters, by the act",
    "/confirm/passkey": "asked for before an act that matters, by the act",
    "/providers/passthrough/close": "for a project with a path that is open without a meter; tests/web has one",
    "/floors/<uuid:request_id>/approve": "for a lower floor that waits for a second person; tests/web has one",
    "/floors/<uuid:request_id>/decline": "for a lower floor that waits for a second person; tests/web has one",
    "/account/passkeys/<int:pk>/remove": "for somebody with a passkey; tests/web/accounts has one",
    "/account/passkeys/<int:pk>/name": "for somebody with a passkey; tests/web/accounts has one",
    "/account/second-factor": "where the sign-in library returns to; the account page says the same",
    "/account/passkeys": "where the sign-in library returns to; the account page says the same",
    "/account/recovery-codes": "for somebody with a second factor; tests/web/accounts has one",
    "/account/recovery-codes/new": "for somebody with a second factor; tests/web/accounts has one",
    "/account/app/remove": "for somebody with a second factor; tests/web/accounts has one",
}
"""Pages that no link of this house leads to, and why."""


@dataclass(frozen=True, slots=True)
class Route:
    """`address` is as the URL map has it, `/rows/<uuid:row_id>`; `name` is what urls.py calls it."""

    name: str
    address: str

    def matches(self, path: str) -> bool:
        shape = PARAMETER.sub("\0", re.escape(self.address).replace(r"\<", "<").replace(r"\>", ">"))
        for kind in (found or "str" for found in PARAMETER.findall(self.address)):
            shape = shape.replace("\0", SHAPES[kind], 1)
        return re.fullmatch(shape, path) is not None

    def of_nothing(self) -> str:
        """The path of something that is not there."""
        return PARAMETER.sub(lambda found: NOTHING[found[1] or "str"], self.address)


@dataclass(frozen=True, slots=True)
class House:
    """`pages` by their route, each with a path that shows it; `entrance` for strangers. `broken`: links that lead nowhere,
    with what they answer. `lonely`: addresses of pages that nothing leads to."""

    pages: dict[Route, str]
    entrance: dict[Route, str]
    broken: dict[str, int]
    lonely: list[str]


class Links(HTMLParser):
    """Where a page leads by links and by forms that only ask."""

    def __init__(self) -> None:
        super().__init__()
        self.paths: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "a" and given.get("href"):
            self.paths.append(given["href"] or "")
        if tag == "form" and (given.get("method") or "get").lower() == "get" and given.get("action"):
            self.paths.append(given["action"] or "")


def url_map() -> list[Route]:
    """The routes as they are, from a process of its own: Django is set up once a process."""
    done = subprocess.run([sys.executable, "-c", MAP, str(WEB)], capture_output=True, text=True, check=True)
    return [Route(one["name"], one["address"]) for one in json.loads(done.stdout)]


def explored(base: str, member: APIRequestContext, stranger: APIRequestContext) -> House:
    """What a member of all roles and somebody who is not signed in are led to."""
    routes, files, broken = url_map(), [], {}
    pages = _led_to(routes, base, member, ("/",), files, broken)
    entrance = _led_to(routes, base, stranger, ENTRANCE, files, broken)
    reached = {route.address for route in (*pages, *entrance, *files)}
    lonely = [
        route.address
        for route in routes
        if route.address not in reached
        and route.address not in LED_TO_OTHERWISE
        and _is_page(route, base, member)
    ]
    return House(pages, entrance, broken, lonely)


def _led_to(
    routes: list[Route],
    base: str,
    asking: APIRequestContext,
    begin: tuple[str, ...],
    files: list[Route],
    broken: dict[str, int],
) -> dict[Route, str]:
    waiting, asked, found = deque(begin), set(), {}
    while waiting:
        path = waiting.popleft()
        route = next((one for one in routes if one.matches(urlsplit(path).path)), None)
        if route is None or route in found or route in files or path in asked:
            continue
        asked.add(path)
        answer = asking.get(base + path, max_redirects=0)
        if answer.status >= 400 and path not in begin:
            broken[path] = answer.status
        elif _is_html(answer):
            found[route] = path
            waiting.extend(_paths(base, path, answer.text()))
        elif answer.status == 200:
            files.append(route)
    return found


def _paths(base: str, path: str, text: str) -> list[str]:
    """Where a page leads within the house; addresses that say more come last, after those that say what they are of."""
    links = Links()
    links.feed(text)
    inside = [urlsplit(urljoin(base + path, one)) for one in links.paths]
    here = [
        one._replace(scheme="", netloc="", fragment="").geturl()
        for one in inside
        if base.endswith(one.netloc)
    ]
    return sorted(here, key=lambda one: "?" in one)


def _is_page(route: Route, base: str, asking: APIRequestContext) -> bool:
    answer = asking.get(base + route.of_nothing(), max_redirects=0)
    return _is_html(answer) and answer.status != 405


def _is_html(answer: APIResponse) -> bool:
    return answer.headers.get("content-type", "").startswith("text/html") and not 300 <= answer.status < 400
