"""Google's Gemini Developer API (ai.google.dev, October 2026).

Its "system parameters" (cloud.google.com/apis/docs/system-parameters) can take the usage out of an answer.
Its SDK's default is version 1 since python-genai 3. Bare, `/v1/models` is Google's only with the header of its key.
"""

from visionality.gateway.dialects import GEMINI, GEMINI_EMBEDDINGS, GEMINI_STREAM, Dialect
from visionality.gateway.providers._core import Kind, Provider, Route

_METHODS: tuple[tuple[str, Dialect, Kind], ...] = (
    ("generateContent", GEMINI, "model_call"),
    ("streamGenerateContent", GEMINI_STREAM, "model_call"),
    ("countTokens", GEMINI, "free"),
    ("embedContent", GEMINI_EMBEDDINGS, "model_call"),
    ("batchEmbedContents", GEMINI_EMBEDDINGS, "model_call"),
)


def _routes(version: str) -> tuple[Route, ...]:
    models = f"/{version}/models"
    called = [(f"{models}/{{model}}:{method}", dialect, kind) for method, dialect, kind in _METHODS]
    return (
        *(Route("POST", path, path, dialect, kind) for path, dialect, kind in called),
        Route("GET", models, models, GEMINI, "catalogue"),
        Route("GET", f"{models}/{{id}}", f"{models}/{{id}}", GEMINI, "catalogue"),
    )


GOOGLE = Provider(
    name="google",
    base_url="https://generativelanguage.googleapis.com",
    key_header=b"x-goog-api-key",
    key_prefix=b"",
    routes=_routes("v1beta") + _routes("v1"),
    aliases=("gemini",),
    key_parameters=frozenset({"key", "$key", "$apiKey", "access_token", "oauth_token"}),
    unsent_parameters=frozenset({"fields", "$fields", "$httpMethod", "$ct", "userProject", "$userProject"}),
)
