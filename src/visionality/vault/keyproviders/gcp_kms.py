"""Google Cloud KMS: a symmetric key, with the context as additional authenticated data.

Sources: Cloud KMS v1 reference, `EncryptRequest` and `DecryptRequest`, and "Verifying end-to-end data integrity" (November
2026): CRC32C of all that is sent and all that comes back. Credentials come from the SDK's own chain. Asked over REST, so
that no gRPC threads run in a process that forks.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from visionality.vault.keyproviders._core import KeyDisabled, KeysAway
from visionality.vault.keyproviders._service import TRY_SECONDS
from visionality.vault.sealing import Context, SealBroken

_Answer = TypeVar("_Answer")


class GcpKms:
    """A key by its resource name; it wraps with its primary version, and a ciphertext knows its own."""

    name = "gcp-kms"
    tag = 0x13

    def __init__(self, key: str, endpoint: str | None) -> None:
        from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415 -- an optional part of the product
        from google.cloud.kms_v1 import KeyManagementServiceClient  # noqa: PLC0415

        options = {"api_endpoint": endpoint} if endpoint else None
        try:
            self._client = KeyManagementServiceClient(transport="rest", client_options=options)
        except GoogleAuthError as error:
            raise KeyDisabled(f"Cloud KMS has no credential of ours: {error}") from None
        self._key = key

    def encrypt(self, context: Context, local: bytes) -> tuple[str, bytes]:
        aad = context.aad()
        answer = self._ask(
            "encrypt",
            plaintext=local,
            plaintext_crc32c=_crc32c(local),
            additional_authenticated_data=aad,
            additional_authenticated_data_crc32c=_crc32c(aad),
        )
        was_whole = answer.verified_plaintext_crc32c and answer.verified_additional_authenticated_data_crc32c
        if not was_whole or answer.ciphertext_crc32c != _crc32c(answer.ciphertext):
            raise KeysAway("Cloud KMS's answer to encrypt was changed on the way: its CRC32C does not fit")
        return answer.name.rsplit("/", 1)[1], answer.ciphertext

    def decrypt(self, context: Context, version: str, ciphertext: bytes) -> bytes:  # noqa: ARG002 -- a ciphertext tells its own
        aad = context.aad()
        answer = self._ask(
            "decrypt",
            ciphertext=ciphertext,
            ciphertext_crc32c=_crc32c(ciphertext),
            additional_authenticated_data=aad,
            additional_authenticated_data_crc32c=_crc32c(aad),
        )
        opened: bytes = answer.plaintext
        if answer.plaintext_crc32c != _crc32c(opened):
            raise KeysAway("Cloud KMS's answer to decrypt was changed on the way: its CRC32C does not fit")
        return opened

    def _ask(self, act: str, **what: Any) -> Any:
        request = {"name": self._key, **what}
        ask: Callable[..., Any] = getattr(self._client, act)
        return _asked(act, lambda: ask(request=request, retry=None, timeout=TRY_SECONDS))


def _asked(act: str, ask: Callable[[], _Answer]) -> _Answer:
    from google.api_core.exceptions import GoogleAPICallError  # noqa: PLC0415
    from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415

    try:
        return ask()
    except GoogleAPICallError as error:
        status = int(error.code or 500)
        said = f"Cloud KMS answered {status} to {act}: {error.message}"
        if status == 429 or status >= 500:
            raise KeysAway(said) from None
        if act == "decrypt" and status == 400 and not _is_precondition(error):
            raise SealBroken(said) from None
        raise KeyDisabled(said) from None
    except (GoogleAuthError, OSError) as error:
        raise KeysAway(f"Cloud KMS cannot be asked: {type(error).__name__}") from None


def _is_precondition(error: Any) -> bool:
    """Whether a 400 speaks of the key's state and not of what was sent: over REST both have one class."""
    try:
        return bool(error.response.json()["error"]["status"] == "FAILED_PRECONDITION")
    except (AttributeError, KeyError, TypeError, ValueError):
        return False


def _crc32c(data: bytes) -> int:
    from google_crc32c import value  # noqa: PLC0415

    return int(value(data))
