"""What the web plane was started with. Django keeps it as the setting `VIS`; views ask `plane()`."""

from dataclasses import dataclass, field

from visionality.runtime.clock import Clock, utc_now
from visionality.vault.keyproviders._core import KeyProvider


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """`web_dsn` reaches the database as `vis_web`, `reader_dsn` as `vis_reader`.

    Service tokens are known by their HMAC under `token_pepper`.
    `sandbox` says that a provider without a key is answered for by the simulated one. `gateway_url` is the address
    that clients are pointed at, without a path. `trusted_hops` counts the proxies of ours before the pages. `keys` seals what the
    pages take in (provider keys, connector credentials), hashes handles, signs envelopes and figures, and opens the secrets
    that webhooks are checked with. No view gives back what it sealed, and none touches a binding key: those are made on
    the machine alone.
    """

    web_dsn: str = field(repr=False)
    reader_dsn: str = field(repr=False)
    secret_key: str = field(repr=False)
    token_pepper: bytes = field(repr=False)
    keys: KeyProvider = field(repr=False)
    sandbox: bool
    gateway_url: str
    public_url: str = ""
    """Where browsers find the pages, when that is not the port on this machine: behind a proxy that ends TLS."""
    smtp_url: str | None = field(default=None, repr=False)
    mail_from: str = "visionality@localhost"
    trusted_hops: int = 0
    clock: Clock = utc_now


def plane() -> WebSettings:
    from django.conf import settings  # noqa: PLC0415 -- so that this module can be imported before Django is set up

    given = settings.VIS
    assert isinstance(given, WebSettings)
    return given
