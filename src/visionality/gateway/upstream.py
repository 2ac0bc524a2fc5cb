"""The HTTP client towards providers, and the only file that knows which one it is.

Bytes come back as the provider sent them: no decompression, no redirects, no cookies. What failed says how far the
request had come, because that decides whether anything may have been billed.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from visionality.core.call import Headers

READ_BUFFER = 64 * 1024
_AUTOMATIC = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
_NOT_CONNECTED = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientHttpProxyError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
)


class UpstreamUnreachable(Exception):
    """No connection: nothing of the call left."""


class UpstreamBroke(Exception):
    """The connection failed after the call may have left."""


class UpstreamSilent(UpstreamBroke):
    """Nothing came for longer than the idle time-out."""


@dataclass(slots=True)
class Answer:
    """The head of an answer and its body as it comes. `close` ends the connection, whatever is still to come."""

    status: int
    headers: Headers
    _response: aiohttp.ClientResponse

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body's bytes. Raises UpstreamBroke."""
        try:
            async for chunk in self._response.content.iter_any():
                yield chunk
        except aiohttp.SocketTimeoutError:
            raise UpstreamSilent("the provider stopped sending") from None
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamBroke(f"the provider's answer broke off: {error or type(error).__name__}") from None

    def close(self) -> None:
        self._response.close()

    def release(self) -> None:
        """Give the connection back for the next call, when the body was read to its end."""
        self._response.release()


class Upstream:
    """One pool for all providers."""

    def __init__(self, connect_timeout: float, idle_timeout: float) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30, ttl_dns_cache=60),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout, sock_read=idle_timeout),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_AUTOMATIC,
            read_bufsize=READ_BUFFER,
        )
        self._proxies = getproxies()
        self._proxy_of: dict[str, str | None] = {}

    async def close(self) -> None:
        await self._session.close()

    async def send(self, method: str, url: str, headers: Headers, body: bytes) -> Answer:
        """Send a request and wait for the head of its answer. Raises UpstreamUnreachable or UpstreamBroke."""
        try:
            target = URL(url, encoded=True)
            proxy = self._proxy(target)
        except ValueError as error:
            raise UpstreamUnreachable(f"its address is none: {error}") from None
        try:
            response = await self._session.request(
                method,
                target,
                proxy=proxy,
                headers=[(name.decode("latin-1"), _text(value)) for name, value in headers],
                data=body or None,
                allow_redirects=False,
            )
        except _NOT_CONNECTED as error:
            raise UpstreamUnreachable(str(error) or type(error).__name__) from None
        except aiohttp.SocketTimeoutError:
            raise UpstreamSilent("the provider did not answer") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise UpstreamBroke(f"the provider did not answer: {error or type(error).__name__}") from None
        return Answer(response.status, tuple((n.lower(), v) for n, v in response.raw_headers), response)

    def _proxy(self, target: URL) -> str | None:
        """The proxy that the environment named at the start for this address (HTTPS_PROXY, NO_PROXY)."""
        place = f"{target.scheme}://{target.host}"
        if place not in self._proxy_of:
            spared = target.host is None or proxy_bypass(target.host)
            self._proxy_of[place] = None if spared else self._proxies.get(target.scheme)
        return self._proxy_of[place]


def _text(value: bytes) -> str:
    """A header's value as the client library wants it. It writes UTF-8, so valid UTF-8 arrives byte for byte."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
