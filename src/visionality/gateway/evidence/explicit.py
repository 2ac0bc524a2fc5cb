"""What a request says on purpose: our headers, those of other gateways, and the body's metadata.

`X-Vis-Project`, `-Repo`, `-Branch`, `-Task`; LiteLLM's `x-litellm-tags` (`project:HPC,branch:fix`), Portkey's
`x-portkey-metadata` (a JSON object), `Helicone-Property-NAME`; and `metadata` of an OpenAI body.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache

from visionality.core.attribution import EXPLICIT, METADATA, Evidence
from visionality.core.call import clean
from visionality.core.remote import last_segment, normalised
from visionality.gateway.evidence.said import HEADS, LONGEST_NAME, Said, Told, branch_name, json_object

_OURS = "x-vis-"
_HELICONE = "helicone-property-"
_LITELLM = "x-litellm-tags"
_PORTKEY = "x-portkey-metadata"
_DECLARING = (_OURS, _HELICONE, _LITELLM, _PORTKEY)
_DECLARED, _ALIASED, _ASSERTED = 95, 90, 80
_MOST_PAIRS = 32
_MOST_EVIDENCE = 16
_FIELDS = {
    "project": "project",
    "project_id": "project",
    "repo": "repo",
    "repository": "repo",
    "branch": "branch",
    "git_branch": "branch",
    "task": "task",
    "task_id": "task",
    "ticket": "task",
    "issue": "task",
}
"""What each name that is in use for them means."""


def read(said: Said) -> tuple[Evidence, ...]:
    """One piece of evidence for each thing that is said."""
    found = _declared(said.told)
    if "metadata" in said.document and type(metadata := said.document["metadata"]) is dict:
        found += tuple(_evidence(metadata.items(), METADATA, "metadata of the body", _ASSERTED))
    return found[:_MOST_EVIDENCE]


@lru_cache(HEADS)
def _declared(told: Told) -> tuple[Evidence, ...]:
    found: list[Evidence] = []
    for name, value in told.every_header:
        if not name.startswith(_DECLARING):
            continue
        if name.startswith(_OURS):
            field = name.removeprefix(_OURS)
            pairs: Iterable[tuple[str, object]] = [(field, value)] if field in _FIELDS.values() else []
            found += _evidence(pairs, EXPLICIT, f"header {name}", _DECLARED)
        elif name.startswith(_HELICONE):
            pairs = [(name.removeprefix(_HELICONE), value)]
            found += _evidence(pairs, EXPLICIT, f"header {name[:60]}", _ALIASED)
        elif name == _LITELLM:
            found += _evidence(_tags(value), EXPLICIT, f"header {name}", _ALIASED)
        elif name == _PORTKEY:
            found += _evidence(json_object(value).items(), EXPLICIT, f"header {name}", _ALIASED)
    return tuple(found)


def _evidence(
    pairs: Iterable[tuple[str, object]], level: int, source: str, confidence: int
) -> Iterator[Evidence]:
    for (name, value), _ in zip(pairs, range(_MOST_PAIRS), strict=False):
        field = (
            _FIELDS.get(name.lower().removeprefix("vis_").replace("-", "_"))
            if isinstance(name, str)
            else None
        )
        if field and isinstance(value, str) and (meant := _meant(field, value.strip())):
            yield Evidence(level, source, confidence, **{field: meant})


def _tags(value: str) -> Iterator[tuple[str, object]]:
    for tag in value.split(",", _MOST_PAIRS):
        name, separator, said = tag.strip().partition(":" if ":" in tag else "=")
        if separator:
            yield name.strip(), said.strip()


def _meant(field: str, value: str) -> str | None:
    """The value as it may be kept, or None."""
    if field == "branch":
        return branch_name(value)
    if clean(value, LONGEST_NAME) != value:
        return None
    if field == "repo":
        return normalised(value) or last_segment(value).lower() or None
    return value
