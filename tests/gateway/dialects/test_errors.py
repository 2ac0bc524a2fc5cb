"""A refusal of the gateway is an exception of the official SDKs, and of the class that its status means."""

import anthropic
import httpx
import msgspec
import openai
import pytest

from visionality.core.sse import payload
from visionality.gateway.dialects import CHAT_COMPLETIONS, DIALECTS, MESSAGES

OPENAI = {
    400: openai.BadRequestError, 401: openai.AuthenticationError, 402: openai.APIStatusError,
    403: openai.PermissionDeniedError, 404: openai.NotFoundError, 413: openai.APIStatusError,
    429: openai.RateLimitError, 500: openai.InternalServerError, 502: openai.InternalServerError,
    503: openai.InternalServerError, 504: openai.InternalServerError,
}  # fmt: skip
ANTHROPIC = {
    400: (anthropic.BadRequestError, "invalid_request_error"), 401: (anthropic.AuthenticationError, "authentication_error"),
    402: (anthropic.APIStatusError, "billing_error"), 403: (anthropic.PermissionDeniedError, "permission_error"),
    404: (anthropic.NotFoundError, "not_found_error"), 413: (anthropic.APIStatusError, "request_too_large"),
    429: (anthropic.RateLimitError, "rate_limit_error"), 500: (anthropic.InternalServerError, "api_error"),
    502: (anthropic.InternalServerError, "api_error"), 503: (anthropic.InternalServerError, "api_error"),
    504: (anthropic.InternalServerError, "timeout_error"),
}  # fmt: skip
