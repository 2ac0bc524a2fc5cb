"""Signs what an httpx2 client sends: `httpx2.Client(auth=BindingAuth(signer))`, and `AsyncClient` likewise.

The clients of openai and anthropic take such a client as `http_client` and send each of their retries through it.
A redirect is followed below this: it carries the proof of the first request, which the gateway does not take for it.
"""

import httpx2

from visionality_client._httpx_flow import BindingFlow


class BindingAuth(BindingFlow, httpx2.Auth):
    """Adds a fresh proof to every request; the credential that the request carries stays where it is."""
