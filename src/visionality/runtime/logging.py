"""Logs are JSON lines on standard error: `timestamp`, `level`, `event`; never bodies, never keys.

What a stranger sent (a path, a host, a header) and what an exception says about a value are kept out: of a request its
status, method and route, of an exception its type and the places it came through.
"""

import json
import logging
import sys
import threading
import traceback
from collections.abc import MutableMapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

_log = logging.getLogger("visionality")


def configure(process: str) -> None:
    """Set up structlog, and the standard library's warnings too."""
    import structlog  # noqa: PLC0415 -- a third of what the small processes load, and they log nothing themselves

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _without_what_exceptions_say,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)
    let_warnings_through(process)


def let_warnings_through(process: str) -> None:
    """Print the standard library's warnings, Python's own and what nobody caught as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLine(process))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.captureWarnings(capture=True)
    sys.excepthook = lambda *raised: _log.critical("uncaught", exc_info=raised)
    sys.unraisablehook = lambda raised: _log.error("unraisable", exc_info=raised.exc_value or True)
    threading.excepthook = lambda raised: _log.error("thread_failed", exc_info=raised.exc_value or True)


def places(error: BaseException) -> str:
    """The type of an exception and of those it came from, each with the lines it passed; not what they say."""
    told: list[str] = []
    seen: BaseException | None = error
    while seen is not None and len(told) < 10:
        lines = [
            f"{frame.filename}:{frame.lineno} in {frame.name}"
            for frame in traceback.extract_tb(seen.__traceback__)
        ]
        told.append("\n  ".join([f"{type(seen).__module__}.{type(seen).__qualname__}", *lines]))
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return "\nafter ".join(told)


def _without_what_exceptions_say(
    _logger: Any, _method: str, said: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    given = said.pop("exc_info", None)
    error = given if isinstance(given, BaseException) else sys.exc_info()[1] if given else None
    if error is not None:
        said["exception"] = places(error)
    return said


class _JsonLine(logging.Formatter):
    """One line whatever is in it."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        said = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": self._process,
            **_told(record),
        }
        if isinstance(record.exc_info, tuple) and record.exc_info[1] is not None:
            said["exception"] = places(record.exc_info[1])
        return json.dumps(said)


def _told(record: logging.LogRecord) -> dict[str, Any]:
    """What happened. Of Django's records and asyncio's, which quote what they stumbled over, only what is ours."""
    if record.name == "asyncio":
        return {"event": record.getMessage().partition("\n")[0]}
    request, status = getattr(record, "request", None), getattr(record, "status_code", None)
    if not record.name.startswith("django.") or request is None or status is None:
        return {"event": record.getMessage()}
    match = getattr(request, "resolver_match", None)
    route = {"route": match.route} if match else {}
    return {"event": HTTPStatus(status).phrase, "status": status, "method": _method(request.method), **route}


def _method(said: str | None) -> str:
    known = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
    return said if said in known else "other"
