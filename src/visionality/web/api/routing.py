"""How an operation is declared: its method and path, the scopes of which one is needed, its answer; and its faults.

django-ninja reads the rest off the signature. Its own pages are off: they would load scripts from another host.
"""

import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import Any, NoReturn, TypeVar

from django.core.exceptions import BadRequest
from django.http import HttpRequest
from django.urls import URLPattern, URLResolver
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError
from ninja.operation import Operation
from ninja.parser import Parser
from ninja.renderers import BaseRenderer
from ninja.security import HttpBearer

from visionality.core.identity_table import BadTable
from visionality.core.mapping_file import BadMap
from visionality.core.scope import BadScope
from visionality.core.signed_figure import BadFigure
from visionality.ledger.filter import BadFilter
from visionality.vault.binding_custody import BadPublicKey
from visionality.web.api.bearer import Ask, check_scopes
from visionality.web.api.problem import LISTED, Problem, of_mistakes, written
from visionality.web.issuing.bindings import BadBinding
from visionality.web.issuing.figures import BadScope as BadFigureScope
from visionality.web.policy.acts import AlreadyThere, BadName, Unknown

_View = TypeVar("_View", bound=Callable[..., Any])
ROOT = "/api/v1/"
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_BAD = (
    BadBinding,
    BadFigure,
    BadFilter,
    BadMap,
    BadName,
    BadPublicKey,
    BadFigureScope,
    BadRequest,
    BadScope,
    BadTable,
)


_PROBLEM = {
    "type": "object",
    "required": ["title", "status", "detail"],
    "properties": {
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What was expected, what came, and what to do."},
        "errors": {"type": "array", "items": {"type": "object", "required": ["detail"]}},
    },
}
_IDEMPOTENCY_KEY = {
    "in": "header",
    "name": "Idempotency-Key",
    "required": False,
    "description": "The same key and request within 24 hours get the same answer, and nothing is done again.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,200}$"},
}
_IF_MATCH = {
    "in": "header",
    "name": "If-Match",
    "required": False,
    "description": "The ETag of what is to be changed, as it was read; 412 when it is another by now.",
    "schema": {"type": "string", "pattern": '^"[0-9a-f]{32}"$'},
}


class ServiceToken(HttpBearer):
    """That an operation needs a token with one of these scopes."""

    def __init__(self, *scopes: str) -> None:
        super().__init__()
        self.scopes = frozenset(scopes)

    def __call__(self, request: HttpRequest) -> bool:
        check_scopes(_ask(request), self.scopes)
        return True

    def authenticate(self, request: HttpRequest, token: str) -> bool:
        raise NotImplementedError  # `__call__` has looked at the token that the door let in


class Written(BaseRenderer):
    media_type = "application/json"

    def render(self, request: HttpRequest, data: Any, *, response_status: int) -> str:  # noqa: ARG002 -- ninja's signature
        return written(data)


class Read(Parser):
    """JSON bodies only, and no text that the database cannot hold."""

    def parse_body(self, request: HttpRequest) -> Any:
        if request.content_type != "application/json":
            raise Problem(415, f"expected application/json, and {request.content_type or 'nothing'} came")
        if _NUL.search(request.body):
            raise Problem(422, "a text of the body holds NUL, which no text can")
        return json.loads(request.body)


class Operations(NinjaAPI):
    """All operations. `patterns` are their addresses, relative to the door's."""

    def __init__(self) -> None:
        super().__init__(
            title="Visionality",
            version="1",
            description="The control plane for programs: docs/reference/api.md.",
            openapi_url=None,
            docs_url=None,
            renderer=Written(),
            parser=Read(),
        )
        for fault in (Problem, Unknown, AlreadyThere, *_BAD, HttpError, ValidationError):
            self.add_exception_handler(fault, _raise)  # type: ignore[arg-type]  # it is given faults and no classes

    def patterns(self) -> list[URLPattern | URLResolver]:
        return self._get_urls()

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI file, with the refusals that every operation may answer with."""
        told: dict[str, Any] = json.loads(written(self.get_openapi_schema(path_prefix=ROOT)))
        told["components"]["schemas"]["Problem"] = _PROBLEM
        refused = {
            "description": "Refused: nothing was done",
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        told["paths"] = dict(sorted(told["paths"].items()))
        for operations in told["paths"].values():
            for method, operation in operations.items():
                operation["responses"] |= {
                    "4XX": refused,
                    "5XX": refused | {"description": "A fault of ours"},
                }
                if method != "get":
                    operation["parameters"] += [_IDEMPOTENCY_KEY, *_of_a_change(method, operations)]
        return told

    def on(
        self,
        method: str,
        path: str,
        *scopes: str,
        answer: Any,
        status: int = 200,
        extra: Mapping[str, Any] | None = None,
    ) -> Callable[[_View], _View]:
        """Have a function answer: it is given the Ask, and what its signature names of path, query and body."""

        def around(view: _View) -> _View:
            known: set[str] = set()

            @wraps(view)
            def answering(request: HttpRequest, **given: Any) -> Any:
                _refuse_unknown(request, known)
                return view(_ask(request), **given)

            signature = inspect.signature(view)
            first, *others = signature.parameters.values()
            answering.__signature__ = signature.replace(  # type: ignore[attr-defined]
                parameters=[first.replace(name="request", annotation=HttpRequest), *others]
            )
            answering._ninja_contribute_to_operation = [  # type: ignore[attr-defined]  # noqa: SLF001 -- ninja's hook
                lambda operation: known.update(_in_query(operation))
            ]
            self.api_operation(
                [method],
                path,
                response={status: answer},
                auth=ServiceToken(*scopes),
                operation_id=view.__name__,
                summary=view.__name__.replace("_", " "),
                tags=[view.__module__.rpartition(".")[2]],
                openapi_extra={"x-scopes": list(scopes), **(extra or {})},
            )(answering)
            return view

        return around


def _ask(request: HttpRequest) -> Ask:
    found: Ask = request.ask  # type: ignore[attr-defined]
    return found


def _of_a_change(method: str, operations: Mapping[str, object]) -> list[dict[str, Any]]:
    """If-Match, where what is to be changed can be read at the same path."""
    return [_IF_MATCH] if method != "post" and "get" in operations else []


def _in_query(operation: Operation) -> Iterator[str]:
    for model in operation.models:
        if model.__ninja_param_source__ == "query":
            yield from model.__ninja_flatten_map__


def _refuse_unknown(request: HttpRequest, known: set[str]) -> None:
    """A filter that is misspelt must not answer with everything."""
    for name, value in request.GET.items():
        if name not in known:
            told = f"expected {', '.join(sorted(known)) or 'nothing'}"
            raise Problem(422, f"`{name}` is not asked here: {told}", [{"field": name, "detail": told}])
        if "\0" in value:
            raise Problem(422, f"`{name}` cannot hold NUL", [{"field": name, "detail": "expected a text"}])


def _raise(request: HttpRequest, fault: Exception) -> NoReturn:
    """Every refusal as a Problem; the door rolls back and writes it."""
    if isinstance(fault, Problem):
        raise fault
    if isinstance(fault.__cause__, Problem):
        raise fault.__cause__
    if isinstance(fault, ValidationError):
        raise _of_validation(fault) from None
    if isinstance(fault, HttpError):
        raise Problem(422, "the body is no JSON") from None
    if isinstance(fault, Unknown):
        names_the_place = bool(request.places)  # type: ignore[attr-defined]
        raise Problem(404 if names_the_place else 422, str(fault)) from None
    if isinstance(fault, AlreadyThere):
        raise Problem(409, str(fault)) from None
    if isinstance(fault, BadMap):
        raise of_mistakes(fault.mistakes, "line", "mapping file") from None
    raise Problem(422, str(fault)) from None


def _of_validation(fault: ValidationError) -> Problem:
    errors = []
    for one in fault.errors[:LISTED]:
        source, *place = one["loc"]
        names = [str(part) for part in place]
        if source == "body" and len(names) > 1:  # the name of our own parameter
            del names[0]
        errors.append({"field": ".".join(names) or source, "detail": str(one["msg"])})
    if {one["loc"][0] for one in fault.errors} == {"path"}:
        return Problem(404, f"there is no such {errors[0]['field']}: {errors[0]['detail']}")
    count = "a mistake" if len(fault.errors) == 1 else f"{len(fault.errors)} mistakes"
    first = f"`{errors[0]['field']}`: {errors[0]['detail']}"
    return Problem(422, f"the request has {count}, and nothing was done; {first}", errors)


API = Operations()
