"""Wire formats, one file each, in reading order."""

from visionality.gateway.dialects._core import Dialect, Framing, StreamReader
from visionality.gateway.dialects.chat_completions import ChatCompletions
from visionality.gateway.dialects.converse import Converse
from visionality.gateway.dialects.embeddings import Embeddings
from visionality.gateway.dialects.gemini import Gemini, GeminiEmbeddings, GeminiStreaming
from visionality.gateway.dialects.images import Images
from visionality.gateway.dialects.invoke_model import InvokeModel
from visionality.gateway.dialects.messages import Messages
from visionality.gateway.dialects.moderations import Moderations
from visionality.gateway.dialects.responses import InputTokens, Responses, StoredResponse
from visionality.gateway.dialects.speech import Speech
from visionality.gateway.dialects.transcription import Transcription

CHAT_COMPLETIONS = ChatCompletions()
MESSAGES = Messages()
EMBEDDINGS = Embeddings()
IMAGES = Images()
SPEECH = Speech()
TRANSCRIPTION = Transcription()
MODERATIONS = Moderations()
CONVERSE = Converse()
INVOKE_MODEL = InvokeModel()
RESPONSES = Responses()
INPUT_TOKENS = InputTokens()
STORED_RESPONSE = StoredResponse()
GEMINI = Gemini()
GEMINI_STREAM = GeminiStreaming()
GEMINI_EMBEDDINGS = GeminiEmbeddings()

DIALECTS: tuple[Dialect, ...] = (
    CHAT_COMPLETIONS,
    MESSAGES,
    RESPONSES,
    EMBEDDINGS,
    IMAGES,
    SPEECH,
    TRANSCRIPTION,
    CONVERSE,
    INVOKE_MODEL,
    GEMINI,
    GEMINI_STREAM,
    GEMINI_EMBEDDINGS,
)

__all__ = [
    "CHAT_COMPLETIONS",
    "CONVERSE",
    "DIALECTS",
    "EMBEDDINGS",
    "GEMINI",
    "GEMINI_EMBEDDINGS",
    "GEMINI_STREAM",
    "IMAGES",
    "INPUT_TOKENS",
    "INVOKE_MODEL",
    "MESSAGES",
    "MODERATIONS",
    "RESPONSES",
    "SPEECH",
    "STORED_RESPONSE",
    "TRANSCRIPTION",
    "Dialect",
    "Framing",
    "StreamReader",
]
