"""Logs are JSON lines on standard error, snake_case keys, never bodies and never keys."""

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
    logging.basicConfig(
        level=logging.WARNING,
        stream=sys.stderr,
        format='{"level": "%(levelname)s", "logger": "%(name)s", "event": "%(message)s"}',
    )
