"""The calls to one service: patient with its limits, and careful where the credential goes.

A credential is sent to the origin that it was given for and to no other, whatever a `next` link or a redirect says, and
never to a machine's metadata service, whatever a name resolves to. No proxy of the environment is used.
"""

import base64
import json
import random
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import TracebackType
from typing import Any, NoReturn, Self, TypeVar

import httpx2
import msgspec

from visionality.connectors.model import ConnectorFault, CredentialRefused, Paused
from visionality.connectors.throttle import asked_wait, is_throttled
from visionality.runtime.clock import Clock
from visionality.runtime.destination import is_refused

Shape = TypeVar("Shape")
Query = tuple[tuple[str, str | int], ...]
Wait = Callable[[float], bool]
"""Waits so many seconds; True when it was told to stop instead."""

CONNECT_WITHIN_S = 10.0
READ_WITHIN_S = 30.0
"""Between two pieces of an answer."""
ANSWER_WITHIN = timedelta(minutes=2)
"""For a whole answer: one that drips is no answer."""
LARGEST = 16 * 1024 * 1024
"""Bytes of an answer, unpacked."""
TRIES = 5
MOST_PAGES = 20_000
"""Of one list, which is more than any has: a service whose lists never end is told from a large one."""
HOPS = 5
"""Redirects that are followed for one call."""
SIT_OUT = timedelta(minutes=65)
"""What is waited for one call in all, which is a little more than the window of GitHub and of Bitbucket: a first run of a large
place goes on after it and does not begin again. A service that asks for more is left until then."""
LONGEST_REASON = 200
UNSAID_WAIT = timedelta(minutes=1)
"""The first wait where a service does not say how long; each further one is twice as long."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A 2xx answer."""

    asked: str
    """For people: "GitHub to GET /orgs/arctrade/repos"."""
    url: httpx2.URL
    headers: Mapping[str, str]
    link_next: str | None
    """The `next` of a Link header (RFC 8288)."""
    body: bytes

    def read(self, shape: type[Shape]) -> Shape:
        """The JSON in it. Raises ConnectorFault where what the product depends on is not there."""
        try:
            return _read(self.body, shape)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise ConnectorFault(
                f"The answer of {self.asked} is not of the documented shape ({error}): "
                "check that the address is the service's own, and its version."
            ) from None


@dataclass(slots=True)
class Api:
    """One service with one credential, open within `with`. `base_url` is the API's root, without a slash at the end."""

    service: str
    """Its name for people."""
    base_url: str
    headers: dict[str, str] = field(repr=False)
    tls: ssl.SSLContext = field(repr=False)
    clock: Clock
    wait: Wait
    _client: httpx2.Client | None = field(default=None, init=False, repr=False)

    def __enter__(self) -> Self:
        self._client = httpx2.Client(
            headers={"accept": "application/json", "user-agent": "visionality"} | self.headers,
            verify=self.tls,
            timeout=httpx2.Timeout(READ_WITHIN_S, connect=CONNECT_WITHIN_S),
            follow_redirects=False,
            trust_env=False,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            self._client.close()

    def get(self, path: str, query: Query = ()) -> Answer:
        """What stands at a path of the API, or at an address that the service itself gave. Raises ConnectorFault."""
        found = self.find(path, query)
        if found is None:
            self._fail(f"{self.service} to GET {path}", 404, b"")
        return found

    def find(self, path: str, query: Query = ()) -> Answer | None:
        """The same; None when there is nothing (404)."""
        url = self._address(path)
        return self._ask("GET", url.copy_merge_params(query) if query else url, None)

    def post(self, path: str, content: dict[str, Any]) -> Answer:
        """What the service answers to a question that it wants as JSON. Raises ConnectorFault."""
        found = self._ask("POST", self._address(path), msgspec.json.encode(content))
        if found is None:
            self._fail(f"{self.service} to POST {path}", 404, b"")
        return found

    def follow(self, first: Answer | None, next_of: Callable[[Answer], str | None]) -> Iterator[Answer]:
        """An answer, if there is one, and all that follow it. Raises ConnectorFault, also when they go round in a circle."""
        seen: set[str] = set()
        answer = first
        while answer is not None:
            if str(answer.url) in seen:
                raise ConnectorFault(
                    f"{self.service} gave the page {answer.url.path} a second time as the next one: "
                    "nothing was taken as complete, and the sync is tried again later."
                )
            seen.add(str(answer.url))
            within_reason(self.service, len(seen))
            yield answer
            link = next_of(answer)
            answer = self.get(str(_joined(answer.url, link))) if link else None

    def _address(self, path: str) -> httpx2.URL:
        """The whole address. Raises ConnectorFault when it is not of our origin."""
        base = httpx2.URL(self.base_url)
        url = _joined(base, self.base_url + path if path.startswith("/") else path)
        if (url.scheme, url.host, url.port) != (base.scheme, base.host, base.port) or url.userinfo:
            raise ConnectorFault(
                f"{self.service} at {base.host} points to {url.scheme}://{url.netloc.decode()}, where its credential "
                "must not go: if the service has moved, give the connection its new address."
            )
        return url

    def _ask(self, method: str, url: httpx2.URL, content: bytes | None) -> Answer | None:
        """An answer, None for 404; waits and redirects are sat out. Raises ConnectorFault."""
        broken, waited, hops = 0, timedelta(), 0
        unsaid = UNSAID_WAIT
        while True:
            asked = f"{self.service} to {method} {url.path}"
            try:
                status, answer = self._once(method, url, content, asked)
            except httpx2.RequestError as error:
                broken += 1
                self._try_again(broken, asked, _cause(error))
                continue
            if is_throttled(status, answer.headers, answer.body):
                said = asked_wait(answer.headers, self.clock())
                waited = self._sit_out(asked, answer.headers, said or unsaid, waited)
                unsaid = unsaid if said else unsaid * 2
            elif status >= 500:
                broken += 1
                self._try_again(broken, asked, f"an answer {status}{self._reason(answer.body)}")
            elif 300 <= status < 400 and method == "GET" and hops < HOPS and "location" in answer.headers:
                hops += 1
                url = self._address(str(_joined(url, answer.headers["location"])))
            elif status == 404:
                return None
            elif 200 <= status < 300:
                return answer
            else:
                self._fail(asked, status, answer.body)

    def _once(self, method: str, url: httpx2.URL, content: bytes | None, asked: str) -> tuple[int, Answer]:
        assert self._client is not None, "calls are made within `with`"
        began = self.clock()
        pieces: list[bytes] = []
        size = 0
        sent = {"content-type": "application/json"} if content is not None else {}
        with self._client.stream(
            method, url, content=content, headers=sent, extensions={"trace": self._watch}
        ) as response:
            for piece in response.iter_bytes():
                pieces.append(piece)
                size += len(piece)
                if size > LARGEST:
                    raise ConnectorFault(
                        f"The answer of {asked} is larger than {LARGEST // 2**20} MiB, more than any page of it "
                        "should be: check that the address is the service's own."
                    )
                if self.clock() - began > ANSWER_WITHIN:
                    raise httpx2.ReadTimeout(f"no whole answer in {ANSWER_WITHIN.seconds} s")
        link = response.links.get("next", {}).get("url")
        return response.status_code, Answer(asked, url, response.headers, link, b"".join(pieces))

    def _watch(self, event: str, info: dict[str, Any]) -> None:
        """Called when a connection stands and nothing was sent on it yet (httpcore2's trace). Raises ConnectorFault."""
        if event != "connection.connect_tcp.complete":
            return
        stream = info["return_value"]
        if is_refused(stream.get_extra_info("server_addr")[0]):
            stream.close()
            raise ConnectorFault(
                f"The address of {self.service} leads to a machine's metadata service, where nothing may be sent: "
                "check the connection's address, and who answers for its name."
            )

    def _try_again(self, broken: int, asked: str, what: str) -> None:
        """Wait a while, longer each time. Raises ConnectorFault after the last try, Paused when told to stop."""
        if broken >= TRIES or "CERTIFICATE_VERIFY_FAILED" in what:
            advice = (
                "give the connection the certificate of the authority that signed the service's"
                if "CERTIFICATE_VERIFY_FAILED" in what
                else "see whether the service is up and reachable from this machine; it is tried again later"
            )
            tries = "1 try" if broken == 1 else f"{broken} tries"
            raise ConnectorFault(f"The answer of {asked} did not come: {tries} ended with {what}; {advice}.")
        jitter = random.uniform(0.5, 1.5)  # noqa: S311 -- spreads calls, hides nothing
        self._pause(timedelta(seconds=2**broken * jitter), asked)

    def _sit_out(
        self, asked: str, headers: Mapping[str, str], wait: timedelta, waited: timedelta
    ) -> timedelta:
        """Wait as asked and return what was waited for this call in all. Raises Paused."""
        if waited + wait > SIT_OUT:
            until = self.clock() + wait
            why = headers.get("ratelimit-reason", "")[:60]
            raise Paused(
                f"The answer of {asked} was to come back later{f' ({why})' if why else ''}: the sync goes on "
                f"after {until:%Y-%m-%d %H:%M} UTC.",
                until,
            )
        self._pause(wait, asked)
        return waited + wait

    def _pause(self, wait: timedelta, asked: str) -> None:
        until = self.clock() + wait
        if self.wait(wait.total_seconds()):
            raise Paused(f"The sync was stopped before the answer of {asked} came: it goes on later.", until)

    def _fail(self, asked: str, status: int, body: bytes) -> NoReturn:
        """Raises CredentialRefused or ConnectorFault."""
        came = f"The answer of {asked} was {status}{self._reason(body)}"
        if status == 401:
            raise CredentialRefused(
                f"{came}: the credential has expired, was withdrawn or is wrong; make a new one and give it "
                "to the connection."
            )
        if status == 403:
            raise CredentialRefused(
                f"{came}: the credential lacks the right to read this; grant it, or give another one."
            )
        advice = {
            404: "check the address and the names in the connection's scope, and that the credential may see them",
            410: "the service has removed this call; a newer version of Visionality is needed",
        }.get(status, "check the connection's address and scope")
        raise ConnectorFault(f"{came}: {advice}.")

    def _reason(self, body: bytes) -> str:
        """What the service says of its refusal, without the credential, which some say back."""
        said = _reason(body)
        for secret in _credential(self.headers.get("authorization", "")):
            said = said.replace(secret, "…")
        return said and f' ("{said[:LONGEST_REASON]}")'


def within_reason(service: str, pages: int) -> None:
    """Raises ConnectorFault for a list that is longer than any."""
    if pages > MOST_PAGES:
        raise ConnectorFault(
            f"{service} gave a list of more than {MOST_PAGES} pages: check that the address is the service's own."
        )


def tls(ca_bundle: str) -> ssl.SSLContext:
    """Whom to believe: the authorities in this PEM text, the system's when it is empty. Raises ConnectorFault."""
    try:
        return ssl.create_default_context(cadata=ca_bundle or None)
    except (ssl.SSLError, ValueError) as error:
        raise ConnectorFault(
            f"The CA bundle holds no certificates in PEM ({error}): give them as text."
        ) from None


def _joined(url: httpx2.URL, link: str) -> httpx2.URL:
    """Where a link on that page leads. Raises ConnectorFault."""
    try:
        return url.join(link)
    except httpx2.InvalidURL as error:
        raise ConnectorFault(
            f"{url.host} names an address that is none ({error}): try again later."
        ) from None


def _cause(error: httpx2.RequestError) -> str:
    return f"{type(error).__name__}{f' ({error})' if str(error) else ''}"


def _reason(body: bytes) -> str:
    """What a refusal says, in any of the forms of the five, or nothing."""
    try:
        said = _read(body, dict[str, Any])
    except (msgspec.DecodeError, ValueError, RecursionError):
        return ""
    inner = said.get("error")
    texts = [
        *(said["errorMessages"] if isinstance(said.get("errorMessages"), list) else []),
        inner.get("message") if isinstance(inner, dict) else inner,
        said.get("message"),
    ]
    text = next((one for one in texts if isinstance(one, str) and one.strip()), "")
    return " ".join(text.split())


def _read(body: bytes, shape: type[Shape]) -> Shape:
    """JSON, also with half of a pair of surrogates in a text, or bytes that are no UTF-8: a title that was cut may hold them.

    Raises what msgspec and json raise.
    """
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, UnicodeDecodeError):
        whole = json.dumps(json.loads(body.decode(errors="replace")), ensure_ascii=False)
        return msgspec.json.decode(whole.encode(errors="replace"), type=shape)


def _credential(authorization: str) -> tuple[str, ...]:
    """The forms in which a service could say it back."""
    kind, _, sent = authorization.partition(" ")
    secret = base64.b64decode(sent).decode().partition(":")[2] if kind == "Basic" else sent
    return tuple(one for one in {sent, secret} if one)
