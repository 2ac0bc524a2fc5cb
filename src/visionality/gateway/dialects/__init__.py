"""Wire formats, one file each, in reading order."""

from visionality.gateway.dialects._core import Dialect, Framing, StreamReader
from visionality.gateway.dialects.batches import Batches, Files, MessageBatches
from visionality.gateway.dialects.chat_completions import ChatCompletions
from visionality.gateway.dialects.converse import Converse
from visionality.gateway.dialects.embeddings import Embeddings
from visionality.gateway.dialects.gemini import Gemini, GeminiEmbeddings, GeminiStreaming
from visionality.gateway.dialects.images import Images
from visionality.gateway.dialects.invoke_model import InvokeModel
from visionality.gateway.dialects.messages import Messages
from visionality.gateway.dialects.moderations import Moderations
from visionality.gateway.dialects.passthrough import Download, PassThrough
from visionality.gateway.dialects.responses import Compaction, InputTokens, Responses, StoredResponse
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
COMPACTION = Compaction()
INPUT_TOKENS = InputTokens()
STORED_RESPONSE = StoredResponse()
FILES = Files()
FILE_CONTENT = Download(FILES)
BATCHES = Batches()
MESSAGE_BATCHES = MessageBatches()
MESSAGE_RESULTS = Download(MESSAGE_BATCHES)
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
    "BATCHES",
    "CHAT_COMPLETIONS",
    "COMPACTION",
    "CONVERSE",
    "DIALECTS",
    "EMBEDDINGS",
    "FILES",
    "FILE_CONTENT",
    "GEMINI",
    "GEMINI_EMBEDDINGS",
    "GEMINI_STREAM",
    "IMAGES",
    "INPUT_TOKENS",
    "INVOKE_MODEL",
    "MESSAGES",
    "MESSAGE_BATCHES",
    "MESSAGE_RESULTS",
    "MODERATIONS",
    "RESPONSES",
    "SPEECH",
    "STORED_RESPONSE",
    "TRANSCRIPTION",
    "Dialect",
    "Framing",
    "PassThrough",
    "StreamReader",
]
