"""The checks of a spend receipt, and of the proof that its row was sealed (docs/audit/formats.md section 7)."""

from __future__ import annotations

from typing import Any

from vis_verify import ed25519, merkle, shape
from vis_verify.asked import Asked
from vis_verify.canonical import NotCanonical, NotStrict, read, read_canonical
from vis_verify.keys import Key, Keys
from vis_verify.pack import attestation, must_be_fresh, must_be_witnessed
from vis_verify.spelling import nano, of_base64url, units
from vis_verify.verdict import Code, Refused, Verdict, approval

LONGEST = 16_384
_DOMAIN = b"visionality receipt v1\x00"
_CONTENT = {
    "billed_nusd", "cost_nusd", "created_at", "currency", "installation", "keyid", "leaf", "org_id", "price_version",
    "project_id", "request_id", "row_id", "signed_at", "type", "v",
}  # fmt: skip
_PROOF = {"checkpoint", "inclusion", "leaf", "type", "v"}
_ASK = "get it again from where it came"


def check_receipt(text: str, keys: Keys, proof: str | None, asked: Asked) -> Verdict:
    """The verdict on a receipt. Raises Refused."""
    content, signature = _parts(text)
    said = _content(content)
    key = keys.must_have(shape.digest(said["keyid"], "the key's fingerprint").hex(), "receipt")
    if not ed25519.verify(key.public, signature, [_DOMAIN, content]):
        what = f"the signature to be that of receipt key {key.fingerprint[:16]} over the content"
        raise Refused(Code.SIGNATURE, what, "it is not", "refuse it: it was changed after it was signed")
    _must_be_canonical(content)
    signed_at = shape.time(said["signed_at"], "signed_at")
    key.must_count(signed_at)
    if keys.org is not None and (keys.installation, keys.org["id"]) != (said["installation"], said["org_id"]):
        came = f"it is of organisation {said['org_id']}, installation {said['installation']}"
        what = f"a receipt of {keys.org['name']}, whose keys were given"
        raise Refused(Code.SCOPE, what, came, "give the keys of the organisation that you mean")
    if asked.org not in (None, said["org_id"], *(keys.org or {}).values()):
        came = f"it is of {said['org_id']}"
        raise Refused(Code.SCOPE, f"organisation {asked.org}", came, "ask for a receipt of the right one")
    if asked.project not in (None, said["project_id"]):
        came = f"it is of {said['project_id']}"
        raise Refused(Code.SCOPE, f"project {asked.project}", came, "ask for a receipt of the right one")
    must_be_fresh(signed_at, asked)
    return _approved(said, key, keys, _sealed(said, keys, proof, asked), asked)


def _parts(text: str) -> tuple[bytes, bytes]:
    """Content and signature. Raises Refused."""
    said, point, signed = text.partition(".")
    try:
        content, signature = of_base64url(said), of_base64url(signed)
    except ValueError:
        content = signature = b""
    if not point or not content or len(signature) != 64 or len(text) > LONGEST:
        what = "a receipt, two parts of base64url with a point between"
        raise Refused(Code.UNREADABLE, what, "it is something else", _ASK)
    return content, signature


def _content(content: bytes) -> dict[str, Any]:
    try:
        value = read(content.decode())
    except (NotStrict, UnicodeDecodeError) as error:
        came = str(error) if isinstance(error, NotStrict) else "it is not UTF-8"
        raise Refused(Code.UNREADABLE, "the content to be strict JSON", came, _ASK) from None
    said = shape.has(value, {"type", "v"}, "the content")
    if said["type"] != "receipt":
        raise Refused(
            Code.TYPE, "a receipt", f"it is {str(said['type'])[:40]}", "use the command that is made for it"
        )
    if said["v"] != 1:
        raise Refused(
            Code.VERSION, "a receipt of version 1", f"it is of {said['v']!r}", "get a newer verifier"
        )
    return shape.fields(said, _CONTENT, "the content")


def _must_be_canonical(content: bytes) -> None:
    try:
        read_canonical(content.decode())
    except NotCanonical as error:
        raise Refused(Code.FORM, "the content in its one form", str(error), "refuse it") from None


def _sealed(said: dict[str, Any], keys: Keys, proof: str | None, asked: Asked) -> dict[str, Any] | None:
    """The head that the row is shown to stand in; None without a proof."""
    if proof is None:
        if asked.witnesses:
            raise Refused(
                Code.USAGE,
                "a proof with a head that witnesses signed",
                "none was given",
                "give it as --proof",
            )
        return None
    try:
        value = read(proof)
    except NotStrict as refused:
        raise Refused(Code.UNREADABLE, "the proof to be strict JSON", str(refused), _ASK) from None
    found = shape.has(value, {"type", "v"}, "the proof")
    if (found["type"], found["v"]) != ("inclusion", 1):
        came = f"it is {found['type']!r}, version {found['v']!r}"
        raise Refused(Code.TYPE, "a proof of inclusion of version 1", came, _ASK)
    found = shape.fields(found, _PROOF, "the proof")
    if shape.digest(found["leaf"], "the leaf of the proof") != shape.digest(said["leaf"], "the leaf"):
        came = f"it is of {found['leaf'][:16]}"
        do = "ask for the proof of this receipt"
        raise Refused(Code.INCLUSION, f"a proof of the leaf {said['leaf'][:16]}", came, do)
    note = shape.note(found["checkpoint"], "the checkpoint")
    place = shape.fields(found["inclusion"], {"index", "path"}, "the inclusion")
    index, path = shape.number(place["index"], "its index"), shape.path(place["path"], "its path")
    if not merkle.includes(note.root, note.size, index, bytes.fromhex(said["leaf"]), path):
        what = f"the path to show the row as number {index} of {note.size}"
        raise Refused(Code.INCLUSION, what, "it does not", "refuse the proof")
    note.must_be_of(keys, f"{said['installation']}/{said['org_id']}/request_logs")
    must_be_witnessed(note, asked)
    return {
        "index": index,
        "origin": note.origin,
        "root": note.root.hex(),
        "size": note.size,
        "time": note.time,
    }


def _approved(
    said: dict[str, Any], key: Key, keys: Keys, head: dict[str, Any] | None, asked: Asked
) -> Verdict:
    what = "a receipt's"
    for name in ("installation", "org_id", "request_id", "row_id", "currency"):
        shape.text(said[name], f"{what} {name}")
    try:
        cost, billed = (
            units(nano(shape.text(said[name], f"{what} {name}"))) for name in ("cost_nusd", "billed_nusd")
        )
    except ValueError:
        raise Refused(
            Code.UNREADABLE, f"{what} amounts to be whole nano-units", "they are not", _ASK
        ) from None
    project = (
        "without a project" if said["project_id"] is None else shape.text(said["project_id"], "the project")
    )
    lines = [
        f"organisation  {said['org_id']}, installation {said['installation']}",
        f"project       {project}",
        f"call          {said['request_id']}, row {said['row_id']} of {shape.time(said['created_at'], 'created_at')}",
        f"cost          {cost} {said['currency']}, billed {billed} {said['currency']}, price version {said['price_version']}",
        f"signed        {said['signed_at']} by receipt key {key.fingerprint}",
        f"leaf          {said['leaf']}",
    ]
    missing = []
    if keys.org is None:
        missing.append("whose the keys are: bare keys name no organisation")
    missing.append(
        "that the keys are those of the organisation: compare their fingerprints on a path of your own"
    )
    if head is None:
        lines.append("sealed        not shown")
        missing.append("that the row was sealed: say --proof with the proof of its inclusion")
    else:
        lines.append(
            f"sealed        row {head['index']} of {head['size']} at {head['time']}, root {head['root']}"
        )
        lines.append(attestation(asked))
    missing.append("that the row's bytes say the same: a pack that carries it shows them")
    receipt = {name: said[name] for name in sorted(_CONTENT - {"type", "v"})}
    facts = {
        "attestation": attestation(asked),
        "checkpoint": head,
        "keys": {"receipt": key.fingerprint},
        "not_checked": missing,
        "receipt": receipt,
    }
    return approval(lines, facts, "the receipt")
