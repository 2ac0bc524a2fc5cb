"""Azure OpenAI (learn.microsoft.com "REST API reference" and "API lifecycle"; openai-python, `lib/azure.py`).

A request names a deployment, in its path or as its model; what that runs, the answer says, or the operator's map. There
are dated paths (`/openai/deployments/…?api-version=`), bare as well since `AzureOpenAI` makes them from its endpoint, and
the v1 paths under `/azure`; bare, `/openai/v1/…` is the provider of that name.
"""

from dataclasses import replace

from visionality.gateway.dialects import CHAT_COMPLETIONS, EMBEDDINGS, IMAGES, SPEECH, TRANSCRIPTION, Dialect
from visionality.gateway.providers._core import Provider, Route
from visionality.gateway.providers.openai import ELSEWHERE

_OF_A_DEPLOYMENT: tuple[tuple[str, Dialect], ...] = (
    ("/chat/completions", CHAT_COMPLETIONS),
    ("/embeddings", EMBEDDINGS),
    ("/images/generations", IMAGES),
    ("/images/edits", IMAGES),
    ("/audio/speech", SPEECH),
    ("/audio/transcriptions", TRANSCRIPTION),
    ("/audio/translations", TRANSCRIPTION),
)
_OF_THE_RESOURCE = ("/responses", "/models")


def _same(method: str, path: str, dialect: Dialect) -> Route:
    return Route(method, path, path, dialect, "model_call")


def _under(prefix: str, path: str, route: Route) -> Route:
    return replace(route, path=prefix + path, suffix=prefix + path)


AZURE = Provider(
    name="azure",
    base_url="",
    key_header=b"api-key",
    key_prefix=b"",
    routes=(
        *(
            _same("POST", f"/openai/deployments/{{model}}{rest}", dialect)
            for rest, dialect in _OF_A_DEPLOYMENT
        ),
        *(
            _under("/openai", route.suffix, route)
            for route in ELSEWHERE
            if route.suffix.startswith(_OF_THE_RESOURCE)
        ),
        *(_under("/openai", route.path, route) for route in ELSEWHERE),
    ),
    serves_deployments=True,
)
