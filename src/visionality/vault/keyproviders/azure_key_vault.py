"""Azure Key Vault and Managed HSM: an RSA key that wraps with RSA-OAEP-256.

Sources: azure-keyvault-keys 4.11; Microsoft, "Keys - Wrap Key" and "Unwrap Key" (November 2026). Vaults know no associated
data, so the context is held by our own seal alone. The SDK makes an unauthenticated call first and learns from the 401
whom to ask for a token; it wraps by itself with the public key, and the vault unwraps.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from visionality.vault.keyproviders._core import KeyDisabled, KeysAway
from visionality.vault.keyproviders._service import TRY_SECONDS
from visionality.vault.sealing import Context, SealBroken

_Answer = TypeVar("_Answer")


class AzureKeyVault:
    """A key by its address, `https://<vault>/keys/<name>`; with a version where only that one may wrap."""

    name = "azure-key-vault"
    tag = 0x12

    def __init__(self, vault: str, key: str, version: str | None) -> None:
        from azure.identity import DefaultAzureCredential  # noqa: PLC0415 -- an optional part of the product

        self._credential = DefaultAzureCredential(retry_total=0)
        self._address = f"{vault}/keys/{key}"
        self._version = version

    def encrypt(self, context: Context, local: bytes) -> tuple[str, bytes]:  # noqa: ARG002 -- nothing to bind it with
        with self._client(self._version) as client:
            answer = _asked("wrapKey", lambda: client.wrap_key(_algorithm(), local))
        return answer.key_id.rsplit("/", 1)[1], answer.encrypted_key

    def decrypt(self, context: Context, version: str, ciphertext: bytes) -> bytes:  # noqa: ARG002 -- as above
        with self._client(version) as client:
            opened: bytes = _asked("unwrapKey", lambda: client.unwrap_key(_algorithm(), ciphertext)).key
        return opened

    def _client(self, version: str | None) -> Any:
        from azure.keyvault.keys.crypto import CryptographyClient  # noqa: PLC0415

        return CryptographyClient(
            f"{self._address}/{version}" if version else self._address,
            self._credential,
            retry_total=0,
            connection_timeout=TRY_SECONDS,
            read_timeout=TRY_SECONDS,
        )


def _algorithm() -> Any:
    from azure.keyvault.keys.crypto import KeyWrapAlgorithm  # noqa: PLC0415

    return KeyWrapAlgorithm.rsa_oaep_256


def _asked(act: str, ask: Callable[[], _Answer]) -> _Answer:
    from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError  # noqa: PLC0415

    try:
        return ask()
    except ClientAuthenticationError as error:
        raise KeyDisabled(f"Azure Key Vault has no credential of ours: {error.message}") from None
    except HttpResponseError as error:
        status = error.status_code or 0
        said = f"Azure Key Vault answered {status} to {act}: {error.message}"
        if status == 429 or status >= 500:
            raise KeysAway(said) from None
        if act == "unwrapKey" and status == 400:
            raise SealBroken(said) from None
        raise KeyDisabled(said) from None
    except AzureError as error:
        raise KeysAway(f"Azure Key Vault cannot be asked: {error.message}") from None
