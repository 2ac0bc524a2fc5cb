"""Attacks 8 to 13: proofs of something else, somebody else's and none (promise K4). Deeper: tests/gateway/test_binding.py."""

import gzip
import json
import os
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from http.client import HTTPConnection
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import pytest

from attacks.attacker import rows
from attacks.catalogue import SAMPLES
from gateway.backend import Backend
from gateway.budgets import gateways
from gateway.calls import CHAT, MESSAGES, WITHIN, Reply, ask, body_of
from visionality.core.binding import Proof, Signed, is_proven, mac_of, thumbprint
from visionality.core.call import Refusal
from visionality.gateway import binding
from visionality.gateway.principal import Principal
from visionality.gateway.state import Gateway
from visionality.registry.snapshot import BindingKeyRecord, Grant, Organisation
from visionality.runtime.clock import utc_now
from visionality.runtime.settings import Settings
from visionality.vault.keyproviders.env import EnvKeyProvider, from_data_dir
from visionality.vault.purposes import binding_context, organisation_context, provider_context
from visionality.vault.sealing import SealBroken, unseal

INVALID = (401, "binding_invalid")


def told(reply: Reply) -> tuple[int, str]:
    return reply.status, reply.header("x-acc-error") or ""


@pytest.fixture(params=["handle", "envelope"])
def token(request, bound) -> str:
    return bound[request.param]


@pytest.mark.attack(8)
def test_another_body_is_another_request(backend, token, seen):
    body = body_of(CHAT)
    document = json.loads(body)
    bodies = {
        "swapped": body_of(CHAT, model="gpt-4o-mini"),
        "one byte more": body + b"\n",
        "one byte less": body[:-1],
        "in another order": json.dumps(dict(reversed(document.items()))).encode(),
        "written anew": json.dumps(document, separators=(",", ":")).encode(),
        "empty": b"",
        "twice": body + body,
    }
    for words, other in bodies.items():
        proof = backend.signed(CHAT, body, token)
        assert told(backend.post(token, body=other, proof=proof)) == INVALID, words
    seen(f"{len(bodies)} other bodies: 401 binding_invalid")


@pytest.mark.attack(8)
def test_a_body_is_proven_as_it_was_sent(backend, token, product, seen):
    """Chunked or of a length is the same bytes; packed is not, and is not unpacked either."""
    body = body_of(CHAT)
    headers = [("authorization", f"Bearer {token}"), ("content-type", "application/json")]
    headers += [("x-acc-caller", backend.caller)]
    chunked = b"%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (10, body[:10], len(body) - 10, body[10:])
    same = [("x-acc-binding", backend.signed(CHAT, body, token)), ("transfer-encoding", "chunked")]
    longer = chunked.replace(b"0\r\n\r\n", b"1\r\n \r\n0\r\n\r\n")
    other = [("x-acc-binding", backend.signed(CHAT, body, token)), ("transfer-encoding", "chunked")]
    length = ("content-length", str(len(body)))
    packed = [("x-acc-binding", backend.signed(CHAT, body, token)), ("content-encoding", "gzip")]
    assert _raw(product, [*headers, *same], chunked).status == 200
    assert told(_raw(product, [*headers, *other], longer)) == INVALID
    assert _raw(product, [*headers, *same, length], chunked).status == 400
    assert ask(product.gateway, "POST", CHAT, [*headers, *packed], gzip.compress(body)).status in {401, 415}
    seen("chunked as with a length 200, a chunk more 401, both framings 400, gzip refused")


def _raw(product, headers, chunked: bytes) -> Reply:
    host = urlsplit(product.gateway)
    connection = HTTPConnection(host.hostname, host.port, timeout=WITHIN)
    try:
        connection.putrequest("POST", CHAT, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders(chunked)
        with connection.getresponse() as answer:
            return Reply(answer.status, answer.getheaders(), answer.read())
    finally:
        connection.close()


@pytest.mark.attack(9)
def test_a_proof_is_of_one_path_method_caller_type_and_token(backend, bound, token, seen):
    other = bound["envelope" if token == bound["handle"] else "handle"]
    changes = [
        {"target": MESSAGES},
        {"target": CHAT + "?a=1"},
        {"target": CHAT + "?"},
        {"target": "/openai" + CHAT},
        {"target": CHAT.upper()},
        {"target": "http://127.0.0.1" + CHAT},
        {"method": "GET"},
        {"method": "post"},
        {"content_type": "text/plain"},
        {"content_type": "application/json; charset=utf-8"},
        {"content_type": ""},
        {"caller": "svc:checkou"},
        {"caller": "svc:checkout "},
        {"of_token": other},
        {"of_token": f"Bearer {token}"},
        {"aud": ""},
        {"aud": backend.aud.upper()},
        {"key_id": backend.key_id.upper()} if backend.key_id.upper() != backend.key_id else {"aud": "x"},
    ]
    for change in changes:
        assert told(backend.post(token, **change)) == INVALID, change
    query = [("authorization", f"Bearer {token}"), ("content-type", "application/json")]
    query += [("x-acc-caller", backend.caller), ("x-acc-binding", backend.signed(CHAT, body_of(CHAT), token))]
    reply = ask(backend.product.gateway, "POST", CHAT + "?a=1", query, body_of(CHAT))
    assert told(reply) == INVALID
    seen(f"{len(changes) + 1} changes: 401 binding_invalid")


@pytest.mark.attack(9)
def test_no_byte_moves_from_one_field_into_the_next(seen):
    key, fields = os.urandom(32), [b"POST", b"/v1/x", b"text/a", b"", b"svc", bytes(32), bytes(32)]
    made = set()
    for at in range(len(fields) - 1):
        for cut in range(len(fields[at] + fields[at + 1]) + 1):
            joined = fields[at] + fields[at + 1]
            moved = [*fields[:at], joined[:cut], joined[cut:], *fields[at + 2 :]]
            made.add((tuple(moved), mac_of(key, "a", "k", "1", "n", Signed(*moved))))
    assert len({mac for _, mac in made}) == len({fields for fields, _ in made}) > 50
    seen("no two splits have one MAC")


@pytest.mark.attack(10)
def test_another_organisations_key_opens_and_proves_nothing(product, backend, bound, seen):
    """The sealed record of this binding key, moved to every other owner, scope and purpose that there is."""
    other = Backend.registered(product, "second-of-ten")
    other.issue()
    mine, others = (_record(product, one.key_id) for one in (backend, other))
    keys = from_data_dir(product.data_dir, may_make=False, report=lambda words: None)
    assert _opened(keys, mine) == backend.key
    moved = {
        "another organisation": {"org_id": uuid4()},
        "another key's row": {"id": others["id"]},
        "another generation": {"generation": mine["generation"] + 1},
        "another master": {"kek_id": uuid4()},
    }
    for words, change in moved.items():
        with pytest.raises(SealBroken):
            _opened(keys, mine | change)
        assert words
    org_id, kek_id, generation = (mine[name] for name in ("org_id", "kek_id", "generation"))
    kek = keys.unwrap(organisation_context(org_id, kek_id, generation), mine["wrapped"])
    with pytest.raises(SealBroken):
        unseal(kek, provider_context(org_id, mine["id"], kek_id, generation), mine["sealed"])
    with pytest.raises(SealBroken):
        _opened(EnvKeyProvider(os.urandom(32)), mine)
    for change in ({"key": other.key, "key_id": other.key_id}, {"key": other.key}):
        assert told(backend.post(bound["handle"], **change)) == INVALID
    seen(f"{len(moved) + 2} moves: it does not open; 401 with another service's key")


@pytest.mark.attack(10)
def test_swapped_rows_in_the_database_prove_nothing(product, backend, bound, seen):
    """Two sealed keys swap their places: for a gateway that opens them then, neither one nor other proof holds."""
    second = Backend.registered(product, "swapped")
    handle = second.issue("--level", "3")["handle"]
    swap = """update vis_control.binding_key b set sealed = o.sealed from vis_control.binding_key o
               where (b.id, o.id) in ((%s, %s), (%s, %s)) returning b.id"""
    ids = (backend.key_id, second.key_id, second.key_id, backend.key_id)
    assert len(product.query(swap, *ids)) == 2
    try:
        with gateways(product, 1) as (other,):
            there = replace(product, summary=product.summary | {"gateway": other.address})
            answers = [
                told(replace(one, product=there).post(key, **change))
                for one, key in ((backend, bound["handle"]), (second, handle))
                for change in ({}, {"key": second.key}, {"key": backend.key})
            ]
    finally:
        product.query(swap, *ids)
    assert set(answers) == {(503, "binding_key_unreadable")}
    seen("sealed keys swapped in the database: 503, they do not open")


def _record(product, key_id: str) -> dict:
    (found,) = product.query(
        """select b.id, b.org_id, b.sealed, o.id as kek_id, o.generation, o.wrapped
             from vis_control.binding_key b join vis_control.organisation_key o on o.id = b.organisation_key_id
            where b.id = %s""",
        key_id,
    )
    return found


def _opened(keys: EnvKeyProvider, row: dict) -> bytes:
    owner = organisation_context(row["org_id"], row["kek_id"], row["generation"])
    kek = keys.unwrap(owner, row["wrapped"])
    return unseal(
        kek, binding_context(row["org_id"], row["id"], row["kek_id"], row["generation"]), row["sealed"]
    )


@pytest.mark.attack(11)
def test_a_proof_cannot_be_left_out_doubled_or_hidden(product, backend, token, seen):
    body = body_of(CHAT)

    def sent(*headers: tuple[str, str]) -> tuple[int, str]:
        plain = [("authorization", f"Bearer {token}"), ("content-type", "application/json")]
        return told(ask(product.gateway, "POST", CHAT, [*plain, *headers], body))

    one, two = (backend.signed(CHAT, body, token) for _ in range(2))
    caller = ("x-acc-caller", backend.caller)
    tries = {
        "left out": sent(caller),
        "without a caller": sent(("x-acc-binding", one)),
        "empty": sent(caller, ("x-acc-binding", "")),
        "two": sent(caller, ("x-acc-binding", one), ("x-acc-binding", two)),
        "two, another case": sent(caller, ("X-Acc-Binding", one), ("x-acc-binding", two)),
        "one twice": sent(caller, ("x-acc-binding", one), ("X-ACC-BINDING", one)),
        "joined": sent(caller, ("x-acc-binding", f"{one}, {two}")),
        "two callers": sent(caller, ("X-Acc-Caller", "svc:x"), ("x-acc-binding", one)),
        "with an underscore": sent(caller, ("x_acc_binding", one)),
        "in the query's place": sent(caller, ("x-acc-binding-proof", one)),
        "named in Connection": sent(caller, ("connection", "x-acc-binding"), ("x-acc-binding-", one)),
    }
    assert {status for status, _ in tries.values()} == {401}, tries
    assert {code for _, code in tries.values()} == {"binding_required", "binding_invalid"}
    assert sent(caller, ("x-acc-binding", one))[0] == 200
    seen(f"{len(tries)} ways: 401; the same proof is good afterwards")


@pytest.mark.attack(12)
def test_a_captured_nonce_cannot_be_burned(product, backend, token, seen):
    nonce = os.urandom(16)
    before = product.query("select count(*) as n from vis.nonces")[0]["n"]
    for _ in range(20):
        assert told(backend.post(token, nonce=nonce, key=os.urandom(32))) == INVALID
    assert product.query("select count(*) as n from vis.nonces")[0]["n"] == before
    assert backend.post(token, nonce=nonce).status == 200
    seen("20 wrong MACs leave no nonce; the victim's call 200")


# ---------------------------------------------------------------- 13: does the time tell?


def medians(sides: tuple[Callable[[], object], Callable[[], object]]) -> tuple[float, float]:
    """How much longer the second of two takes at its median, in microseconds, and how sure one can be that it does.

    The second number is Mann and Whitney's z over both samples; they are taken in turns, so that whatever else the
    machine does meets both.
    """
    times: tuple[list[int], list[int]] = ([], [])
    for number in range(2 * SAMPLES):
        side = number % 2
        begun = time.perf_counter_ns()
        sides[side]()
        times[side].append(time.perf_counter_ns() - begun)
    return (statistics.median(times[1]) - statistics.median(times[0])) / 1000, whitney(*times)


def whitney(one: list[int], two: list[int]) -> float:
    ranked = sorted([(value, 0) for value in one] + [(value, 1) for value in two])
    values = [value for value, _ in ranked]
    ranks: dict[int, float] = {}
    at = 0
    while at < len(values):
        end = at
        while end < len(values) and values[end] == values[at]:
            end += 1
        ranks[values[at]] = (at + 1 + end) / 2
        at = end
    u = sum(ranks[value] for value in two) - len(two) * (len(two) + 1) / 2
    mean = len(one) * len(two) / 2
    spread = (len(one) * len(two) * (len(one) + len(two) + 1) / 12) ** 0.5
    return (u - mean) / spread


def test_the_statistic_sees_what_is_there():
    assert whitney(list(range(100)), list(range(100))) == 0
    assert whitney(list(range(100)), list(range(50, 150))) > 5


@pytest.mark.attack(13)
def test_a_nearly_right_mac_takes_as_long_as_a_random_one(seen):
    key, signed = (
        os.urandom(32),
        Signed(b"POST", CHAT.encode(), b"application/json", b"", b"svc", bytes(32), bytes(32)),
    )
    right = mac_of(key, "vis:i", "k", "1", "n", signed)
    near, far = (Proof("k", "1", "n", mac) for mac in (right[:31] + bytes([right[31] ^ 1]), os.urandom(32)))
    assert not is_proven(key, "vis:i", near, signed)
    apart, z = medians(
        (lambda: is_proven(key, "vis:i", near, signed), lambda: is_proven(key, "vis:i", far, signed))
    )
    assert abs(apart) < 5
    seen(f"31 right bytes against none: {apart:+.3f} us at the median, z = {z:+.1f}, {SAMPLES:,} each")


@pytest.mark.attack(13)
def test_an_unknown_key_takes_as_long_as_a_known_one(seen):
    record, gateway, organisation, principal = _scene()
    asked = binding.Asked(
        "POST", CHAT.encode(), ((b"content-type", b"application/json"),), sha256(b"{}").digest()
    )
    known = binding.Announced(Proof(str(record.key_id), "1", "n", bytes(32)), "svc")
    unknown = binding.Announced(Proof(str(uuid4()), "1", "n", bytes(32)), "svc")
    now = utc_now()

    def tried(said: binding.Announced) -> Callable[[], str]:
        return lambda: _refused(binding.check(gateway, organisation, principal, said, asked, now))

    assert (tried(known)(), tried(unknown)()) == ("mismatch", "key_unknown")
    apart, z = medians((tried(known), tried(unknown)))
    assert abs(apart) < 5
    seen(f"known against unknown key id: {apart:+.3f} us at the median, z = {z:+.1f}, {SAMPLES:,} each")


def _refused(check: Awaitable[None]) -> str:
    """What a check that waits for nothing ends with."""
    try:
        check.__await__().__next__()
    except binding.Unproven as refusal:
        return refusal.binding_status
    except (StopIteration, Refusal):
        pass
    raise AssertionError("it was not refused")


def _scene() -> tuple[BindingKeyRecord, Gateway, Organisation, Principal]:
    """A gateway that has opened one binding key, and somebody of its service."""
    key, service, now = os.urandom(32), uuid4(), utc_now()
    gateway = Gateway(Settings(), utc_now, EnvKeyProvider(os.urandom(32)))
    gateway.tokens.aud = "vis:i"
    record = BindingKeyRecord(
        key_id=uuid4(),
        sealed=b"",
        kek_id=uuid4(),
        generation=1,
        wrapped=b"",
        revoked_at=None,
        service_id=service,
        thumbprint=bytes.fromhex(thumbprint(key)),
        retires_at=None,
    )
    gateway.opened_keys[record.key_id] = key
    fields: dict = dict.fromkeys(Grant.__dataclass_fields__)
    fields |= {"org_id": uuid4(), "service_id": service, "callers": (), "expires_at": now + timedelta(days=1)}
    organisation = Organisation(**_organisation(fields["org_id"], record))
    return record, gateway, organisation, Principal(Grant(**fields), bytes(32))


def _organisation(org_id: UUID, record: BindingKeyRecord) -> dict:
    fields: dict = dict.fromkeys(Organisation.__dataclass_fields__)
    return fields | {"org_id": org_id, "binding_keys": {str(record.key_id): record}}


@pytest.mark.attack(12)
def test_a_refused_proof_leaves_one_row_and_costs_nothing(product, backend, bound):
    before = rows(product)
    assert told(backend.post(bound["handle"], key=os.urandom(32), nonce=os.urandom(16))) == INVALID
    product.until(lambda: rows(product) > before)
