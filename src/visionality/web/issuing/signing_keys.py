"""The keys that an organisation's tokens are signed with: made when first needed, rotated, revoked.

One signs. After a rotation the one before is believed for as long as what it signed can live. Once it is revoked,
nothing that it ever signed is.
"""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db.models import QuerySet

from visionality.core.key_document import KeyDocument, PublishedKey, spelled
from visionality.core.level import BEARER, longest
from visionality.core.spend_token import kid_of
from visionality.runtime.ids import uuid7
from visionality.vault.keyproviders._core import KeyProvider
from visionality.vault.purposes import organisation_context, signing_context
from visionality.vault.sealing import seal, unseal
from visionality.web.issuing.events import record, uuid_of
from visionality.web.issuing.installation import issuer
from visionality.web.issuing.models import SigningKey
from visionality.web.policy.acts import Act, Unknown, alone, organisation_key

LONGEST_LIFE = longest(BEARER)
"""Of anything that is signed, and so of a key that only verifies."""


def active(act: Act, keys: KeyProvider) -> tuple[SigningKey, Ed25519PrivateKey]:
    """The key that signs now; made when there is none."""
    alone(act)
    signing = _of(act).filter(active_until=None).select_related("organisation_key").first()
    if signing is None:
        return _make(act, keys, "first needed")
    kek = signing.organisation_key
    opened = keys.unwrap(organisation_context(act.org_id, kek.id, kek.generation), bytes(kek.wrapped))
    context = signing_context(act.org_id, signing.id, kek.id, kek.generation)
    return signing, Ed25519PrivateKey.from_private_bytes(unseal(opened, context, bytes(signing.sealed)))


def rotate(act: Act, keys: KeyProvider, reason: str) -> SigningKey:
    """Sign with a new key from now on. What the one before signed is believed until it expires."""
    alone(act)
    before = _of(act).filter(active_until=None).first()
    if before is not None:
        before.active_until, before.verify_until = act.now, act.now + LONGEST_LIFE
        before.save(update_fields=["active_until", "verify_until"])
        detail = {"kid": kid(before), "verify_until": before.verify_until.isoformat()}
        record(act, "signing_key_rotated", before.id, "", reason, detail)
    return _make(act, keys, reason)[0]


def revoke(act: Act, keys: KeyProvider, name: str, reason: str) -> SigningKey:
    """Believe nothing that a key signed any more. Where it was the one that signs, a new one does. Raises Unknown."""
    alone(act)
    signing = access_signing_key(act, name)
    if signing.revoked_at is not None:
        return signing
    was_active = signing.active_until is None
    signing.revoked_at = act.now
    signing.active_until = signing.active_until or act.now
    signing.save(update_fields=["revoked_at", "active_until"])
    record(act, "signing_key_revoked", signing.id, "", reason, {"kid": kid(signing)})
    if was_active:
        _make(act, keys, reason)
    return signing


def access_signing_key(act: Act, name: str) -> SigningKey:
    """One of them by its id. Raises Unknown."""
    signing = _of(act).filter(id=uuid_of(name, "signing key", "vis signing-key list")).first()
    if signing is None:
        raise Unknown(f"there is no signing key {name}: `vis signing-key list` shows them")
    return signing


def everything(act: Act) -> list[SigningKey]:
    """All of them, the newest first."""
    return list(_of(act).order_by("-made_at", "-id"))


def published(act: Act) -> KeyDocument:
    """What a verifier needs to check tokens without asking anybody."""
    keys = [
        PublishedKey(
            kid=kid(key),
            public=spelled(bytes(key.public)),
            active_from=key.active_from,
            verify_until=key.verify_until,
            revoked_at=key.revoked_at,
        )
        for key in reversed(everything(act))
    ]
    return KeyDocument(v=1, iss=issuer(), org=str(act.org_id), issued_at=act.now, keys=keys)


def kid(key: SigningKey) -> str:
    """Which key it is, as tokens and the published document name it."""
    return kid_of(bytes(key.public)).hex()


def state(key: SigningKey) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "signs" if key.active_until is None else "verifies"


def _of(act: Act) -> QuerySet[SigningKey]:
    return SigningKey.objects.filter(org_id=act.org_id)


def _make(act: Act, keys: KeyProvider, reason: str) -> tuple[SigningKey, Ed25519PrivateKey]:
    kek, kek_record = organisation_key(act, keys)
    private, signing_id = Ed25519PrivateKey.generate(), uuid7()
    context = signing_context(act.org_id, signing_id, kek_record.id, kek_record.generation)
    made = SigningKey.objects.create(
        id=signing_id,
        org_id=act.org_id,
        organisation_key=kek_record,
        public=private.public_key().public_bytes_raw(),
        sealed=seal(kek, context, private.private_bytes_raw()),
        made_at=act.now,
        active_from=act.now,
    )
    record(act, "signing_key_made", made.id, "", reason, {"kid": kid(made)})
    return made, private
