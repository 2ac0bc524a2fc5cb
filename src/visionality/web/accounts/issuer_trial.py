"""Whether an organisation's issuer answers as a sign-in needs it: its discovery document, and the keys that it signs with.

Nobody is signed in by it, and no secret goes out: the client's own is first sent when somebody comes back from the issuer.
"""

from uuid import UUID

import requests  # noqa: TID251 -- the faults of what allauth calls the issuer by
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from django.http import HttpRequest

from visionality.web.accounts.issuer_calls import PATIENCE, Calls, conversation
from visionality.web.accounts.oidc import UNREADABLE, Issuer


def tried(request: HttpRequest, org_id: UUID) -> tuple[bool, str]:
    """Whether it works, and what the issuer says or what is wrong. The organisation has a sign-on."""
    try:
        issuer, count = _asked(request, org_id)
    except (requests.RequestException, *UNREADABLE) as wrong:
        return False, f"The issuer does not answer as it should: {_why(wrong)}."
    if not count:
        return False, f"{issuer} answers, and publishes no key that it signs with."
    return True, f"{issuer} answers, and publishes {count} {'key' if count == 1 else 'keys'}."


def _asked(request: HttpRequest, org_id: UUID) -> tuple[str, int]:
    """What the issuer calls itself, and how many keys it publishes."""
    with conversation(org_id), Calls() as calls:
        said = Issuer(request, str(org_id)).openid_config
        answer = calls.get(said["jwks_uri"])
        answer.raise_for_status()
        return said["issuer"], len([one for one in answer.json()["keys"] if one["kty"]])


def _why(wrong: Exception) -> str:
    """In words of ours: what the libraries below say is for programmers."""
    match wrong:
        case requests.HTTPError(response=requests.Response(status_code=status, url=url)):
            return f"it answers {status} at {url}"
        case requests.exceptions.SSLError():
            return "its certificate is not one that is believed here"
        case requests.Timeout():
            return f"it says nothing for {PATIENCE} seconds"
        case requests.ConnectionError(args=[str() as told, *_]) | OAuth2Error(args=[str() as told, *_]):
            return told
        case requests.ConnectionError():
            return "nobody answers at its address"
    return "what it says cannot be read"
