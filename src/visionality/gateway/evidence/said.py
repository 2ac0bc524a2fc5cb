"""What a client said in the places that only the client itself writes.

Those are headers, metadata, system blocks, and a wrapper tag at the beginning of a part of a user turn. What a person
typed and what a tool returned is not among them. Looking costs little however large the body is: few blocks are looked
at, and of each at most so much.
"""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import msgspec

from visionality.core.attribution import ENVIRONMENT, Evidence
from visionality.core.call import Headers, clean
from visionality.core.remote import directory_name

SEARCHED = 128 * 1024
"""Of a system block: a mark is looked for in its first so many characters. The longest assistants' prompts have half."""
READ = 16 * 1024
"""Of the text behind a mark."""
HEADS = 256
"""That are remembered, with what follows from them alone."""
MOST_BLOCKS = 16
MOST_LINES = 200
LONGEST_NAME = 255
LONGEST_SESSION = 128
_SYSTEM_ROLES = ("system", "developer")
_SYSTEM_FIELDS = ("system", "instructions", "systemInstruction", "system_instruction")
"""Anthropic's, that of Responses, and Gemini's."""
_MESSAGES = ("message", None)
_TEXT_PARTS = ("text", "input_text", None)
_NO_BRANCHES = frozenset({"HEAD", "(no", "(detached", "unknown", "undefined", "null"})
_HEX = frozenset("0123456789abcdef")
_UNHEARD = frozenset(
    {
        b"authorization",
        b"x-api-key",
        b"api-key",
        b"x-goog-api-key",
        b"x-litellm-api-key",
        b"proxy-authorization",
        b"x-amz-security-token",
        b"cookie",
        b"content-length",
        b"x-acc-binding",
        b"x-client-request-id",
        b"x-request-id",
        b"x-stainless-retry-count",
        b"idempotency-key",
        b"traceparent",
        b"tracestate",
    }
)
"""Headers that are secret, and are not kept at hand, or another with every call: none of them says what it is for."""


class Found(msgspec.Struct, frozen=True):
    """Which client it is, and what it said about its work."""

    client: str = ""
    version: str = ""
    session: str = ""
    is_subagent: bool = False
    is_title: bool = False
    command: str = ""
    """The client's own command that the turn was started by: "review"."""
    evidence: tuple[Evidence, ...] = ()


class Told(msgspec.Struct, frozen=True, eq=False):
    """What the head of a request tells: the same value for all requests that a client sends to one address alike."""

    path: str
    headers: Mapping[str, str]
    """The first value of each, by its name in lower case, but for those of _UNHEARD."""
    every_header: tuple[tuple[str, str], ...]
    agent: str
    """The user agent."""


class Said(msgspec.Struct, frozen=True):
    """One request, with its parts taken out once."""

    told: Told
    document: Mapping[str, Any]
    system: tuple[str, ...]
    """The system blocks, in order."""
    opening: tuple[str, ...]
    """The text parts of the user turns before the model's first answer."""

    def begins(self, *marks: str) -> bool:
        """Whether a system block begins with one of them."""
        return bool(self.system) and any(block.startswith(marks) for block in self.system)

    def has_tools(self) -> bool:
        """Whether tools are on offer."""
        return bool(self.document.get("tools"))


def heard(headers: Headers, document: Mapping[str, Any], path: str) -> Said:
    """The request, as the readers look at it."""
    told = _told(path, tuple([header for header in headers if header[0] not in _UNHEARD]))
    return Said(told, document, *_beginnings(document))


@lru_cache(HEADS)
def _told(path: str, headers: Headers) -> Told:
    """A client sends nearly the same headers with every call."""
    every = tuple([(name.decode("latin-1").lower(), _text(value)) for name, value in headers])
    first = MappingProxyType(dict(reversed(every)))
    return Told(path, first, every, first.get("user-agent", ""))


def version(agent: str) -> str:
    """What stands behind the first slash of a user agent."""
    words = agent.partition("/")[2].split(" ", 1)
    return clean(words[0].partition("/")[0], 40) or ""


def session(value: object) -> str:
    """A session's id as it may be kept, or nothing."""
    return value if isinstance(value, str) and clean(value, LONGEST_SESSION) == value else ""


def branch_name(value: str | None) -> str | None:
    """A branch's name; None for a detached head and what git would not take."""
    name = (value or "").strip().strip("`").partition("...")[0]
    if not name or name in _NO_BRANCHES or any(char.isspace() for char in name):
        return None
    return name if clean(name, LONGEST_NAME) == name else None


def commit_hash(value: object) -> str | None:
    """A commit's hash in lower case, or None."""
    if not isinstance(value, str) or not 7 <= len(value) <= 64:
        return None
    return value.lower() if _HEX.issuperset(value.lower()) else None


def json_object(text: object) -> dict[str, Any]:
    """The object that a header or a field holds as JSON; empty when it holds none."""
    if not isinstance(text, str) or len(text) > READ:
        return {}
    try:
        value = msgspec.json.decode(text.encode("utf-8", "replace"))
    except (msgspec.DecodeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def environment(
    client: str,
    confidence: int,
    directory: str | None = None,
    branch: str | None = None,
    repo: str | None = None,
) -> tuple[Evidence, ...]:
    """What an environment block says, when it says anything: a directory's name or a remote, and a branch."""
    repo = repo or directory_name(directory or "")
    branch = branch_name(branch)
    if not repo and not branch:
        return ()
    return (Evidence(ENVIRONMENT, f"{client} environment", confidence, repo=repo, branch=branch),)


def behind(text: str, mark: str, *, last: bool = False) -> str | None:
    """The text behind a mark that begins a line, or None. The first such mark counts, or the last."""
    if last and (at := text.rfind(f"\n{mark}")) >= 0:
        start = at + 1
    elif text.startswith(mark):
        start = 0
    elif (at := text.find(f"\n{mark}")) >= 0:
        start = at + 1
    else:
        return None
    start += len(mark)
    return text[start : start + READ]


def block(text: str, tag: str, *, last: bool = False) -> str | None:
    """What stands between `<tag>` at the beginning of a line and its end, or None."""
    found = behind(text, f"<{tag}>", last=last)
    return None if found is None else found.partition(f"</{tag.partition(' ')[0]}>")[0]


def leading_block(text: str, tag: str, *, after: tuple[str, ...] = ()) -> str | None:
    """The same of a part that begins with the tag, or with blocks of those tags and then the tag."""
    text = text[: 2 * READ].lstrip()
    for _ in after:
        for other in after:
            if text.startswith(f"<{other}>"):
                text = text.partition(f"</{other}>")[2].lstrip()
    if not text.startswith(f"<{tag}>"):
        return None
    return text[len(tag) + 2 :].partition(f"</{tag}>")[0][:READ]


def line(text: str | None, *names: str) -> str | None:
    """What stands behind the first of the names, on the first line of the text that begins with it."""
    lines = [each.strip().lstrip("*- \t") for each in (text or "").split("\n", MOST_LINES)[:MOST_LINES]]
    for name in names:
        for each in lines:
            if each.startswith(name):
                return each[len(name) :].strip()
    return None


def turns(document: Mapping[str, Any]) -> list[Any]:
    """The turns of a conversation, whatever the dialect calls them."""
    for name in ("messages", "input", "contents"):
        if name in document and type(turns := document[name]) is list:
            return turns
    return []


def texts(content: object, longest: int = SEARCHED) -> list[str]:
    """The beginning of a content's text: of itself, or of the first of its parts that are text."""
    if type(content) is str:
        return [content[:longest]]
    if type(content) is dict:
        return texts(content.get("parts"), longest)
    found = []
    if type(content) is list:
        for part in content[:MOST_BLOCKS]:
            text = part.get("text") if type(part) is dict and part.get("type") in _TEXT_PARTS else part
            if type(text) is str:
                found.append(text[:longest])
    return found


def said_by(turn: object) -> str:
    """The role of a turn; empty for what is no message."""
    if type(turn) is not dict or "role" not in turn or ("type" in turn and turn["type"] not in _MESSAGES):
        return ""
    role = turn["role"]
    return role if type(role) is str else ""


def content_of(turn: Mapping[str, Any]) -> object:
    """What a turn holds."""
    return turn["content"] if "content" in turn else turn.get("parts")


def last_user_texts(document: Mapping[str, Any]) -> tuple[str, ...]:
    """The text parts of the last turn, when it is the user's."""
    last = turns(document)[-1:]
    return tuple(texts(content_of(last[0]), 2 * READ)) if last and said_by(last[0]) == "user" else ()


def _beginnings(document: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The system blocks, those in turns before any other among them, and the user's texts before the model's answer."""
    system: list[str] = []
    opening: list[str] = []
    for name in _SYSTEM_FIELDS:
        if name in document:
            system += texts(document[name])
    leads = True
    for turn in turns(document)[:MOST_BLOCKS]:
        role = said_by(turn)
        if role == "user":
            leads = False
            if len(opening) < MOST_BLOCKS:
                opening += texts(content_of(turn), 2 * READ)
        elif role not in _SYSTEM_ROLES:
            break
        elif leads and len(system) < MOST_BLOCKS:
            system += texts(content_of(turn))
    return tuple(system[:MOST_BLOCKS]), tuple(opening[:MOST_BLOCKS])


def _text(value: bytes) -> str:
    """A header's value: UTF-8 where it is, as newer clients send it."""
    try:
        return value.decode() if len(value) <= READ else value[:READ].decode()
    except UnicodeDecodeError:
        return value[:READ].decode("latin-1")
