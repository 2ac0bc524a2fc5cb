"""Logs are JSON lines on standard error, snake_case keys, never bodies and never keys."""

import json
import logging
import sys


def configure(process: str) -> None:
    """Set up structlog, and the standard library's warnings too."""
    import structlog  # noqa: PLC0415 -- a third of what the small processes load, and they log nothing themselves

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)
    let_warnings_through()


def let_warnings_through() -> None:
    """Print the standard library's warnings as JSON lines: enough for a process that logs nothing itself."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLine())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


class _JsonLine(logging.Formatter):
    """One line whatever is in it: a stranger's path may hold quotes and line ends."""

    def format(self, record: logging.LogRecord) -> str:
        said = {"level": record.levelname, "logger": record.name, "event": record.getMessage()}
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return json.dumps(said)
