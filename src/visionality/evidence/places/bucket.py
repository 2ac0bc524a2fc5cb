"""A bucket that keeps heads under S3 Object Lock: whoever may write there cannot take one back before its time.

    <prefix>/<installation>/<organisation>/<log>/2026-11/<size, 16 digits>.heads        one head with its proof

How long an object is locked is the bucket's default retention, which is the bucket owner's; a bucket without one is refused.
Sources: Amazon S3 user guide, "Locking objects with Object Lock" and "Conditional writes" (November 2026). Credentials come from
the SDK's own chain.
"""

import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from visionality.core.proven_head import ProvenHead, read, written
from visionality.evidence.places._core import NotKept

_ADDRESS = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/([\w./-]*))?")
_OPTIONS = frozenset({"region", "endpoint"})
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_SECONDS = 10
_TAKEN = frozenset({"PreconditionFailed", "412"})


class Bucket:
    """`s3://bucket/prefix[?region=eu-central-1&endpoint=https://…]`. Raises NotKept for what is none."""

    def __init__(self, address: str) -> None:
        self.name = address
        where, _, query = address.partition("?")
        found, options = _ADDRESS.fullmatch(where), dict(parse_qsl(query, keep_blank_values=True))
        if found is None or set(options) - _OPTIONS or not _is_safe(options.get("endpoint")):
            raise NotKept(
                f"{address!r}: expected s3://bucket/prefix[?region=eu-central-1&endpoint=https://…]"
            )
        self._bucket, prefix = found.groups()
        self._prefix = f"{prefix.strip('/')}/" if prefix else ""
        self._options = options
        self._client: Any = None
        self._last: dict[str, str] = {}

    def newest(self, origin: str) -> ProvenHead | None:
        for key in self._after(origin, self._last.get(origin, "")):
            self._last[origin] = key
        if origin not in self._last:
            return None
        found = self._ask("get_object", Key=self._last[origin])
        with found["Body"] as body:
            content: bytes = body.read()
        return read(content.rstrip(b"\n"))

    def keep(self, origin: str, head: ProvenHead) -> None:
        note = head.note().checkpoint
        at = datetime.fromtimestamp(note.time_ms / 1000, UTC)
        key = f"{self._under(origin)}{at:%Y-%m}/{note.size:016d}.heads"
        self._ask(
            *("put_object",),
            Key=key,
            Body=written(head),
            ContentType="application/jsonl",
            IfNoneMatch="*",
            ChecksumAlgorithm="SHA256",
        )
        self._last[origin] = key

    def _under(self, origin: str) -> str:
        return f"{self._prefix}{origin}/"

    def _after(self, origin: str, key: str) -> list[str]:
        """The last key behind this one, or none. Keys of a log stand in the order of its sizes."""
        last = key
        while True:
            page = self._ask("list_objects_v2", Prefix=self._under(origin), StartAfter=last)
            keys = [one["Key"] for one in page.get("Contents", ())]
            last = keys[-1] if keys else last
            if not page.get("IsTruncated"):
                return [last] if last != key else []

    def _ask(self, act: str, **what: Any) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]  # noqa: PLC0415

        try:
            answer: dict[str, Any] = getattr(self._opened(), act)(Bucket=self._bucket, **what)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _TAKEN:
                raise NotKept(f"{what['Key']} is there already: somebody else keeps heads there") from None
            said = error.response["Error"].get("Message", "")
            raise NotKept(f"{self._bucket} answered {code} to {act}: {said}") from None
        except BotoCoreError as error:
            raise NotKept(f"{self._bucket} cannot be asked: {error}") from None
        return answer

    def _opened(self) -> Any:
        """The client, once the bucket has shown that it locks what it is given."""
        if self._client is None:
            client = _client(self._options)
            _check_locked(client, self._bucket)
            self._client = client
        return self._client


def _client(options: dict[str, str]) -> Any:
    try:
        import boto3  # type: ignore[import-untyped]  # noqa: PLC0415 -- an optional part of the product
        from botocore.config import Config  # type: ignore[import-untyped]  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        raise NotKept(f"{missing.name} is not installed: pip install 'visionality[aws]'") from None
    config = Config(connect_timeout=_SECONDS, read_timeout=_SECONDS, retries={"total_max_attempts": 2})
    return boto3.client(
        "s3", region_name=options.get("region"), endpoint_url=options.get("endpoint"), config=config
    )


def _check_locked(client: Any, bucket: str) -> None:
    from botocore.exceptions import ClientError  # noqa: PLC0415

    try:
        found = client.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ObjectLockConfigurationNotFoundError":
            raise
        found = {}
    if not found.get("Rule", {}).get("DefaultRetention"):
        raise NotKept(
            f"{bucket} has no Object Lock with a default retention: a head there could be replaced. "
            "Make a bucket with Object Lock and a retention of your choice"
        )


def _is_safe(endpoint: str | None) -> bool:
    if endpoint is None:
        return True
    parts = urlsplit(endpoint)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
