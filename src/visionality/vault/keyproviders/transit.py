"""OpenBao's and Vault's transit engine: an AES-256-GCM key, with the context as associated data.

Sources: OpenBao, "Transit secrets engine (API)", `encrypt` and `decrypt`; the answers of a server of version 2.7. The
token is read once, from the environment.
"""

import base64
import binascii
import json
import ssl
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from visionality.vault.keyproviders._core import KeyDisabled, KeysAway
from visionality.vault.keyproviders._service import TRY_SECONDS
from visionality.vault.sealing import Context, SealBroken

ANSWER_LIMIT = 64 * 1024
_OF_THE_RECORD = ("message authentication failed", "invalid ciphertext")
"""What a 400 says of the ciphertext or its associated data; any other is about the key."""


class Transit:
    """A key by its name in a mount of a server at `https://host:port`."""

    name = "transit"
    tag = 0x14

    def __init__(self, server: str, mount: str, key: str, token: str) -> None:
        self._server = urlsplit(server)
        self._mount = mount
        self._key = key
        self._token = token

    def encrypt(self, context: Context, local: bytes) -> tuple[str, bytes]:
        data = self._ask("encrypt", plaintext=_text(local), associated_data=_text(context.aad()))
        ciphertext = str(data["ciphertext"])
        return ciphertext.split(":")[1], ciphertext.encode()

    def decrypt(self, context: Context, version: str, ciphertext: bytes) -> bytes:  # noqa: ARG002 -- a ciphertext tells its own
        try:
            spelled = ciphertext.decode("ascii")
        except UnicodeDecodeError:
            raise SealBroken("the record holds no ciphertext of a transit engine") from None
        data = self._ask("decrypt", ciphertext=spelled, associated_data=_text(context.aad()))
        return base64.b64decode(data["plaintext"])

    def _ask(self, act: str, **what: str) -> dict[str, Any]:
        status, body = self._post(f"/v1/{self._mount}/{act}/{self._key}", what)
        try:
            answer = json.loads(body)
            data = answer.get("data")
            said = "; ".join(answer.get("errors") or ())
        except (ValueError, AttributeError, TypeError):
            data, said = None, "no JSON of a transit engine"
        if status == 200 and isinstance(data, dict):
            return data
        sentence = f"the transit engine answered {status} to {act}: {said}"
        if status in {400, 403, 404, 405}:
            if status == 400 and any(words in said for words in _OF_THE_RECORD):
                raise SealBroken(sentence)
            raise KeyDisabled(sentence)
        raise KeysAway(sentence)

    def _post(self, path: str, what: dict[str, str]) -> tuple[int, bytes]:
        connection = self._connection()
        try:
            headers = {"X-Vault-Token": self._token, "Content-Type": "application/json"}
            connection.request("POST", path, json.dumps(what), headers)
            with connection.getresponse() as response:
                return response.status, response.read(ANSWER_LIMIT)
        except (OSError, HTTPException) as error:
            raise KeysAway(f"the transit engine cannot be asked: {type(error).__name__} {error}") from None
        finally:
            connection.close()

    def _connection(self) -> HTTPConnection:
        host, port = self._server.hostname or "", self._server.port
        if self._server.scheme == "http":
            return HTTPConnection(host, port, timeout=TRY_SECONDS)
        return HTTPSConnection(host, port, timeout=TRY_SECONDS, context=ssl.create_default_context())


def _text(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode()
