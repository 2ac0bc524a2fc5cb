"""Which key service `VIS_KEY_PROVIDER` names. An address is checked whole before anybody is asked."""

import re
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl, urlsplit

from visionality.runtime.settings import BadSettings
from visionality.vault.keyproviders._service import KeyService
from visionality.vault.keyproviders.aws_kms import AwsKms
from visionality.vault.keyproviders.azure_key_vault import AzureKeyVault
from visionality.vault.keyproviders.gcp_kms import GcpKms
from visionality.vault.keyproviders.transit import Transit

_AWS_KEY = re.compile(
    r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:(key|alias)/[\w/:-]+|alias/[\w/:-]+|[0-9a-f-]{36}"
)
_AZURE_KEY = re.compile(r"(https://[^/?#@\s]+)/keys/([0-9A-Za-z-]+)(?:/([0-9a-f]{32}))?")
_GCP_KEY = re.compile(r"projects/[^/\s]+/locations/[^/\s]+/keyRings/[\w-]+/cryptoKeys/[\w-]+")
_TRANSIT_KEY = re.compile(r"(https?://[^/?#@\s]+)/([\w./-]+)/([\w.-]+)")
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class _Unlike(Exception):
    """An address has another form than the one that the message says."""


def service_at(address: str, environ: Mapping[str, str]) -> KeyService:
    """The service at an address. Raises BadSettings, and KeyDisabled where the SDK finds no credentials."""
    kind, _, rest = address.partition(":")
    make = _KINDS.get(kind)
    if make is None:
        raise _bad(address, f"expected one of {', '.join(_KINDS)} before the first colon")
    try:
        return make(rest, environ)
    except _Unlike as mistake:
        raise _bad(address, str(mistake)) from None
    except ModuleNotFoundError as missing:
        extra = _EXTRAS[kind]
        raise _bad(address, f"{missing.name} is not installed: pip install 'visionality[{extra}]'") from None


def _bad(address: str, sentence: str) -> BadSettings:
    return BadSettings(f"VIS_KEY_PROVIDER={address!r} cannot be used: {sentence}")


def _aws(rest: str, _environ: Mapping[str, str]) -> KeyService:
    key, options = _with_options(rest, {"region", "endpoint"})
    if not _AWS_KEY.fullmatch(key):
        raise _Unlike(
            "expected aws-kms:<ARN, alias/name or id of a key>[?region=eu-central-1&endpoint=https://…]"
        )
    return AwsKms(key, options.get("region"), _endpoint(options))


def _azure(rest: str, _environ: Mapping[str, str]) -> KeyService:
    found = _AZURE_KEY.fullmatch(rest)
    if found is None:
        raise _Unlike("expected azure-key-vault:https://<vault>.vault.azure.net/keys/<name>[/<version>]")
    return AzureKeyVault(*found.groups())


def _gcp(rest: str, _environ: Mapping[str, str]) -> KeyService:
    key, options = _with_options(rest, {"endpoint"})
    if not _GCP_KEY.fullmatch(key):
        raise _Unlike(
            "expected gcp-kms:projects/<p>/locations/<l>/keyRings/<r>/cryptoKeys/<k>[?endpoint=https://…]"
        )
    return GcpKms(key, _endpoint(options))


def _transit(rest: str, environ: Mapping[str, str]) -> KeyService:
    found = _TRANSIT_KEY.fullmatch(rest)
    if found is None:
        raise _Unlike("expected transit:https://<host>:8200/<mount>/<key>")
    server, mount, key = found.groups()
    token = environ.get("BAO_TOKEN") or environ.get("VAULT_TOKEN")
    if not token:
        raise _Unlike("it needs a token in BAO_TOKEN or VAULT_TOKEN")
    return Transit(_safe(server), mount, key, token)


def _with_options(rest: str, known: set[str]) -> tuple[str, dict[str, str]]:
    """What stands before a `?`, and the options after it."""
    key, _, query = rest.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    if unknown := set(options) - known:
        raise _Unlike(f"{min(unknown)!r} is no option of it, expected {' or '.join(sorted(known))}")
    return key, options


def _endpoint(options: Mapping[str, str]) -> str | None:
    return _safe(options["endpoint"]) if "endpoint" in options else None


def _safe(address: str) -> str:
    """An address over which keys may go: https, or plain http on this machine."""
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        raise _Unlike(f"{address!r} is no address of a server") from None
    if not parts.hostname or not (
        parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    ):
        raise _Unlike(f"keys go to an https:// address only, came {address!r}")
    return address


_KINDS: dict[str, Callable[[str, Mapping[str, str]], KeyService]] = {
    AwsKms.name: _aws,
    AzureKeyVault.name: _azure,
    GcpKms.name: _gcp,
    Transit.name: _transit,
}
_EXTRAS = {AwsKms.name: "aws", AzureKeyVault.name: "azure", GcpKms.name: "gcp"}
