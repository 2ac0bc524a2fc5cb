"""The signed envelope of a key (promise K1): everything that it is bound to, to be checked without asking a server.

It is written anew each time that it is asked for, and never stored. It ends when the key ends.
"""

from django.db import connection

from visionality.core.money import usd
from visionality.core.spend_token import Allowance, Bound, Claims, sign
from visionality.core.window import PERIODS
from visionality.vault.keyproviders._core import KeyProvider
from visionality.web.issuing.binding_keys import newest
from visionality.web.issuing.bindings import BadBinding
from visionality.web.issuing.events import SQL
from visionality.web.issuing.installation import issuer
from visionality.web.issuing.models import VirtualKey
from visionality.web.issuing.signing_keys import active
from visionality.web.policy.acts import Act
from visionality.web.policy.models import Budget


def envelope(act: Act, keys: KeyProvider, key: VirtualKey) -> str:
    """The key as a signed token. Raises BadBinding when its bindings do not fit into one."""
    _, private = active(act, keys)
    try:
        return sign(private, _claims(act, key))
    except ValueError as error:
        raise BadBinding(
            f"the key does not fit into an envelope, {error}: shorten --memo or --url, or name fewer models, "
            "providers, networks or callers"
        ) from None


def _claims(act: Act, key: VirtualKey) -> Claims:
    us, person = issuer(), key.agent.person
    return Claims(
        v=2,
        jti=str(key.id),
        iss=us,
        aud=us,
        org=str(act.org_id),
        agt=key.agent.sub,
        iat=int(act.now.timestamp()),
        nbf=int(act.now.timestamp()),
        exp=int(key.expires_at.timestamp()),
        scp=tuple(key.scopes),
        bnd=_bound(act, key),
        gen=key.org_epoch,
        sgen=key.person_epoch,
        pol=_revision(act),
        rot=key.rotation,
        sub=person.sso_sub if person else None,
        prj=key.project.key if key.project else None,
        cus=key.customer.key if key.customer else None,
        tsk=key.task_id or None,
        tcl=key.task_class or None,
        memo=key.memo or None,
        url=key.url or None,
        bud=_allowance(act, key),
        mdl=tuple(key.model_globs),
        prv=tuple(key.providers),
        net=tuple(key.networks),
    )


def _bound(act: Act, key: VirtualKey) -> Bound:
    callers = tuple(key.callers)
    if key.service is None:
        return Bound(lvl=key.level, clr=callers)
    second = newest(act, key.service)
    return Bound(lvl=key.level, bk=str(second.id), th=bytes(second.thumbprint).hex(), clr=callers)


def _allowance(act: Act, key: VirtualKey) -> Allowance | None:
    """Its own hard cap; the one of the shortest period where it has several."""
    caps = Budget.objects.filter(
        org_id=act.org_id, scope_kind="key", scope_value=str(key.id), hard=True, retired_at=None
    )
    shortest = min(caps, key=lambda cap: [*PERIODS].index(cap.period), default=None)  # type: ignore[arg-type]
    if shortest is None:
        return None
    return Allowance(cur="USD", max=usd(shortest.cap_nusd), win=shortest.period, warn=tuple(shortest.soft))


def _revision(act: Act) -> int:
    with connection.cursor() as cursor:
        cursor.execute(SQL["revision"], {"org_id": act.org_id})
        found = cursor.fetchone()
    assert found is not None
    revision: int = found[0]
    return revision
