"""AWS KMS: a symmetric key, with the context as its encryption context.

Sources: AWS KMS API reference, "Encrypt", "Decrypt" and "Encryption context" (November 2026). The encryption context is
plain text in CloudTrail, so it holds ids and no names. Credentials come from the SDK's own chain.
"""

from typing import Any

from visionality.vault.keyproviders._core import KeyDisabled, KeysAway
from visionality.vault.keyproviders._service import TRY_SECONDS
from visionality.vault.sealing import Context, SealBroken

_BROKEN = frozenset({"InvalidCiphertextException", "IncorrectKeyException", "InvalidArnException"})
_AWAY = frozenset(
    {
        "ThrottlingException",
        "Throttling",
        "LimitExceededException",
        "RequestLimitExceeded",
        "KMSInternalException",
        "DependencyTimeoutException",
        "KeyUnavailableException",
        "ServiceUnavailableException",
    }
)


class AwsKms:
    """A key by its ARN or alias; `region` and `endpoint` where the ARN and the SDK do not say them."""

    name = "aws-kms"
    tag = 0x11

    def __init__(self, key: str, region: str | None, endpoint: str | None) -> None:
        import boto3  # type: ignore[import-untyped]  # noqa: PLC0415 -- an optional part of the product
        from botocore.config import Config  # type: ignore[import-untyped]  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]  # noqa: PLC0415

        config = Config(
            connect_timeout=TRY_SECONDS, read_timeout=TRY_SECONDS, retries={"total_max_attempts": 1}
        )
        if region is None and key.startswith("arn:"):
            region = key.split(":")[3]
        try:
            self._client = boto3.client("kms", region_name=region, endpoint_url=endpoint, config=config)
        except BotoCoreError as error:
            raise KeyDisabled(f"AWS KMS cannot be asked: {error}") from None
        self._key = key

    def encrypt(self, context: Context, local: bytes) -> tuple[str, bytes]:
        answer = self._ask("encrypt", KeyId=self._key, Plaintext=local, EncryptionContext=_plain(context))
        return answer["KeyId"], answer["CiphertextBlob"]

    def decrypt(self, context: Context, version: str, ciphertext: bytes) -> bytes:
        opened: bytes = self._ask(
            "decrypt", KeyId=version, CiphertextBlob=ciphertext, EncryptionContext=_plain(context)
        )["Plaintext"]
        return opened

    def _ask(self, act: str, **what: Any) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        try:
            answer: dict[str, Any] = getattr(self._client, act)(**what)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            said = f"AWS KMS answered {code} to {act}: {error.response['Error'].get('Message', '')}"
            if code in _BROKEN:
                raise SealBroken(said) from None
            if code in _AWAY or status >= 500 or status == 429:
                raise KeysAway(said) from None
            raise KeyDisabled(said) from None
        except BotoCoreError as error:
            raise KeysAway(f"AWS KMS cannot be asked: {error}") from None
        return answer


def _plain(context: Context) -> dict[str, str]:
    return {
        "org": context.org,
        "scope": context.scope,
        "kek": context.kek_id,
        "gen": str(context.generation),
        "purpose": context.purpose,
    }
