"""OpenAI Moderations on the wire: free of charge, by OpenAI's word (API reference, "Moderations").

Source: openai-openapi "Create moderation". The model may be left out.
"""

from collections.abc import Mapping
from typing import Any

from visionality.core.call import Ask, Headers, clean
from visionality.core.usage import Metered, Usage
from visionality.gateway.dialects._core import JsonOverSse
from visionality.gateway.dialects.openai_errors import OpenAIErrors
from visionality.gateway.dialects.typed_stream import Unanswered

_NOTHING = Metered(Usage(), "none")


class Moderations(OpenAIErrors, JsonOverSse):
    """`POST /v1/moderations`."""

    name = "moderations"

    def ask(self, document: Mapping[str, Any], model: str | None = None) -> Ask:
        return Ask(model or clean(document.get("model"), 200), stream=False, output_limit=0)

    def reader(self, ask: Ask) -> Unanswered:  # noqa: ARG002
        return Unanswered(lambda _: _NOTHING)

    def metered_body(
        self,
        body: bytes,  # noqa: ARG002
        document: Mapping[str, Any],  # noqa: ARG002
        headers: Headers = (),  # noqa: ARG002
    ) -> Metered | None:
        return _NOTHING
