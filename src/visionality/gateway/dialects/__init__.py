"""Wire formats, one file each, in reading order."""

from visionality.gateway.dialects._core import Dialect, StreamReader
from visionality.gateway.dialects.chat_completions import ChatCompletions
from visionality.gateway.dialects.messages import Messages

CHAT_COMPLETIONS = ChatCompletions()
MESSAGES = Messages()

DIALECTS: tuple[Dialect, ...] = (CHAT_COMPLETIONS, MESSAGES)

__all__ = ["CHAT_COMPLETIONS", "DIALECTS", "MESSAGES", "Dialect", "StreamReader"]
