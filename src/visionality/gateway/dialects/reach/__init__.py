"""What a request can be billed for beyond a token for each byte of its body, one file a wire format.

Three things break the rule that a token is at least a byte: a picture, whose tokens follow from its pixels; what the
body only names (a file, an earlier answer, a stored prompt) or holds compressed (a document, sound, video); and tools
that the provider runs, which bring input, have the model asked again, and may cost something a use. A part of a kind
that is not known here is taken for unseen input. The bounds and what of them is assumed: docs/metering.md.
"""

from visionality.gateway.dialects.reach.converse import converse_reach, invoke_reach
from visionality.gateway.dialects.reach.gemini import gemini_reach
from visionality.gateway.dialects.reach.messages import messages_reach
from visionality.gateway.dialects.reach.openai import (
    chat_reach,
    embeddings_reach,
    images_reach,
    responses_reach,
)

__all__ = [
    "chat_reach",
    "converse_reach",
    "embeddings_reach",
    "gemini_reach",
    "images_reach",
    "invoke_reach",
    "messages_reach",
    "responses_reach",
]
