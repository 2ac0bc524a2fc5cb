"""Proofs of possession for calls to a Visionality gateway, and spend tokens for end customers.

Nothing but the standard library is imported here. What signs for an HTTP library lies in the module of its name:
`httpx2_auth`, `httpx_auth`, `requests_adapter`, `aiohttp_client`; `sealed` opens a binding key that was sealed.
"""

from visionality_client.binding_key import BadBindingKey, BindingKey
from visionality_client.minting import Minted, MintRefused, mint
from visionality_client.signer import CannotSign, Signer

__all__ = ["BadBindingKey", "BindingKey", "CannotSign", "MintRefused", "Minted", "Signer", "mint"]
