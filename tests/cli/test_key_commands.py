"""The control plane of keys at the command line, while the product runs: promises K1, K2, K4 and K7."""

import itertools
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from product import Product, running, set_up
from visionality.cli.main import vis
from visionality.core.handle import at_rest
from visionality.core.level import longest
from visionality.vault.binding_custody import info
from visionality.vault.keyproviders.env import EnvKeyProvider, from_data_dir
from visionality.vault.purposes import HANDLE_PEPPER, binding_context, organisation_context, signing_context
from visionality.vault.sealing import SealBroken, unseal

AGENT = "alice@arctrade"
SERVICE = X25519PrivateKey.generate()


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    """One of its own: these tests revoke every key of the organisation."""
    with running() as product:
        set_up(product)
        add_service(product, "checkout-api", SERVICE)
        product.run("binding-key", "create", "checkout-api")
        yield product


def add_service(product: Product, name: str, private: X25519PrivateKey) -> None:
    public = urlsafe_b64encode(private.public_key().public_bytes_raw()).rstrip(b"=").decode()
    product.run("service", "add", name, "--x25519", public, "--reason", "it calls models")


def as_person(product: Product, name: str) -> Product:
    """The product with another person at its commands."""
    return replace(product, environment={**product.environment, "LOGNAME": name})


def issue(product: Product, *words: str) -> dict[str, Any]:
    return json.loads(product.run("key", "issue", "--agent", AGENT, *words, "--json"))


def records(product: Product, *words: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in product.run(*words, "--json").splitlines()]


def key_state(product: Product, key_id: str) -> str:
    return next(one["state"] for one in records(product, "key", "list") if one["id"] == key_id)


def inspect(token: str, keys: Path, *words: str) -> Result:
    """What `vis token inspect` says where there is neither installation nor server."""
    nowhere = {"VIS_DATA_DIR": str(keys.parent / "none"), "VIS_DATABASE_URL": ""}
    return CliRunner().invoke(
        vis, ["token", "inspect", "-", "--keys", str(keys), *words], input=token, env=nowhere
    )


def publish(product: Product, into: Path, *words: str) -> Path:
    file = into / "keys.json"
    file.write_text(product.run("token", "keys", *words))
    return file


# ------------------------------------------------------------------ envelopes

texts = st.text(st.characters(exclude_categories=("C", "Z")), max_size=30)
names = st.from_regex(r"[a-z][a-z0-9.*-]{0,20}", fullmatch=True)
wishes = st.fixed_dictionaries(
    {
        "project": st.sampled_from(["", "HPC"]),
        "task": texts,
        "task-class": texts,
        "memo": texts,
        "model": st.lists(names, max_size=4, unique=True),
        "provider": st.lists(st.sampled_from(["openai", "anthropic"]), max_size=2, unique=True),
        "network": st.lists(st.sampled_from(["203.0.113.0/24", "2001:db8::/32"]), max_size=2, unique=True),
        "scope": st.sampled_from([[], ["call"], ["mint"], ["call", "mint"]]),
        "caller": st.lists(st.sampled_from(["svc:a", "svc:b"]), max_size=2, unique=True),
        "level": st.sampled_from([0, 2, 3]),
        "cap": st.sampled_from(["", "50/month", "0.25/day"]),
    }
)


@settings(
    max_examples=5,
    deadline=None,
    phases=(Phase.generate,),  # to shrink one would run the command hundreds of times
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(wish=wishes)
def test_an_envelope_says_far_away_exactly_what_was_asked(product, tmp_path, wish):
    words = ["--service=checkout-api", "--expires=20h", "--envelope"]
    for option, value in wish.items():
        words += [f"--{option}={one}" for one in (value if isinstance(value, list) else [value]) if one != ""]
    made = issue(product, *words)
    found = inspect(made["envelope"], publish(product, tmp_path), "--json")
    assert found.exit_code == 0
    said = json.loads(found.stdout)["claims"]
    second = records(product, "binding-key", "list")[0]
    amount, _, period = wish["cap"].partition("/")
    (org,) = product.query("select org_id, installation_id from vis.orgs_v1, vis.installation")
    ours = f"vis:{org['installation_id']}"
    asked = {
        "v": 2,
        "jti": made["id"],
        "iss": ours,
        "aud": ours,
        "org": str(org["org_id"]),
        "sub": "00u-alice",
        "agt": AGENT,
        "prj": wish["project"],
        "tsk": wish["task"],
        "tcl": wish["task-class"],
        "memo": wish["memo"],
        "mdl": wish["model"],
        "prv": wish["provider"],
        "net": [str(ip_network(one)) for one in wish["network"]],
        "scp": wish["scope"] or ["call"],
        "bnd": {
            "lvl": wish["level"],
            "bk": second["id"],
            "th": second["thumbprint"],
            "clr": wish["caller"],
            "alg": "b1",
        },
        "bud": {"cur": "USD", "max": amount, "win": period, "warn": []} if amount else None,
    }
    counters = {name: said.pop(name) for name in ("iat", "nbf", "exp", "gen", "sgen", "pol")}
    assert said == {name: value for name, value in asked.items() if value}
    assert counters["exp"] - counters["iat"] == 20 * 3600
    assert counters["exp"] == int(datetime.fromisoformat(made["expires_at"]).timestamp())


def test_an_envelope_that_was_changed_does_not_hold_and_is_not_printed(product, tmp_path):
    token = issue(product, "--envelope")["envelope"]
    keys = publish(product, tmp_path)
    good = inspect(token, keys)
    assert good.exit_code == 0
    assert "signature  holds" in good.stdout
    for bad in (token[:-1], token[:40] + "A" + token[41:], "nonsense", "", token.replace("live", "test")):
        found = inspect(bad, keys)
        assert found.exit_code == 1
        assert "holds\nsignature  holds" not in found.stdout
    assert token[10:60] not in good.output


def test_a_key_document_is_believed_by_its_root_only(product, tmp_path):
    token = issue(product, "--envelope")["envelope"]
    root_file = tmp_path / "root.key"
    root = product_less("token", "root-key", str(root_file)).stdout.strip()
    assert root_file.stat().st_mode & 0o777 == 0o600
    assert product_less("token", "root-key", str(root_file)).exit_code == 1

    unsigned = publish(product, tmp_path)
    refused = inspect(token, unsigned, "--root", root)
    assert (refused.exit_code, "not signed, and a root was named" in str(refused.exception)) == (1, True)
    signed = publish(product, tmp_path, "--root-key", str(root_file))
    assert inspect(token, signed, "--root", root).exit_code == 0
    signed.write_text(signed.read_text().replace('"revoked_at":null', '"revoked_at":"2026-01-01T00:00:00Z"'))
    refused = inspect(token, signed, "--root", root)
    assert (refused.exit_code, "not signed by this root" in str(refused.exception)) == (1, True)


def product_less(*words: str) -> Result:
    return CliRunner().invoke(vis, words)


def test_what_a_signing_key_signed_is_believed_after_its_rotation_and_not_after_its_revocation(
    product, tmp_path
):
    token = issue(product, "--envelope")["envelope"]
    product.run("signing-key", "rotate", "--reason", "quarterly")
    newer = issue(product, "--envelope")["envelope"]
    keys = publish(product, tmp_path)
    assert [inspect(one, keys).exit_code for one in (token, newer)] == [0, 0]
    signs, verifies = records(product, "signing-key", "list")[:2]
    assert (signs["state"], verifies["state"]) == ("signs", "verifies")
    until = datetime.fromisoformat(verifies["verify_until"]) - datetime.fromisoformat(signs["made_at"])
    assert until == longest(0)

    product.run("signing-key", "revoke", verifies["id"], "--reason", "seed was seen")
    keys = publish(product, tmp_path)
    assert [inspect(one, keys).exit_code for one in (token, newer)] == [1, 0]
    product.run("signing-key", "revoke", signs["id"], "--reason", "seed was seen")
    newest = issue(product, "--envelope")["envelope"]
    keys = publish(product, tmp_path)
    assert [inspect(one, keys).exit_code for one in (token, newer, newest)] == [1, 1, 0]


def test_bindings_that_do_not_fit_into_an_envelope_make_no_key(product):
    before = records(product, "key", "list")
    long = [f"--model={'m' * 100}{at}" for at in range(30)]
    done = product.try_run("key", "issue", "--agent", AGENT, "--envelope", *long)
    assert (done.returncode, done.stdout) == (1, "")
    assert "shorten --memo or --url" in done.stderr
    assert records(product, "key", "list") == before


# ------------------------------------------------------------------ what a key of a level cannot be

REFUSED = [
    (("--level=0", "--expires=91d"), "a key at level 0 can live at most 90 days"),
    (("--level=1",), "a key at level 1 needs the networks that it may come from"),
    (("--level=2",), "a key at level 2 needs a service"),
    (("--level=2", "--service=checkout-api", "--expires=31d"), "a key at level 2 can live at most 30 days"),
    (("--level=3",), "a key at level 3 needs a service"),
    (("--level=3", "--service=checkout-api", "--expires=25h"), "a key at level 3 can live at most 24 hours"),
    (("--level=4", "--service=checkout-api"), "a key at level 4 needs the callers"),
    (("--level=4", "--service=checkout-api", "--caller=a", "--expires=16m"), "a key at level 4 can live at most 15 minutes"),
    (("--scope=mint",), "a key that mints needs a service"),
    (("--scope=mint", "--service=checkout-api", "--expires=91d"), "can live at most 90 days"),
    (("--service=nobody",), "there is no service nobody: add it with `vis service add nobody`"),
    (("--network=10.0.0.1/8",), "has host bits set"),
    (("--network=everywhere",), "expected a network such as 203.0.113.0/24"),
    (("--model=a b",), "--model 'a b': expected printable characters"),
    (("--caller=ä",), "--caller 'ä': expected printable characters"),
    (tuple(f"--model=m{at}" for at in range(41)), "at most 40 fit"),
    (("--expires=0m",), "can live at most"),
]  # fmt: skip


def test_a_key_that_its_level_does_not_allow_is_refused_and_leaves_no_trace(product):
    before = len(records(product, "key", "events"))
    for words, told in REFUSED:
        done = product.try_run("key", "issue", "--agent", AGENT, *words)
        assert (done.returncode, done.stdout) == (1, ""), words
        assert told in done.stderr
    assert len(records(product, "key", "events")) == before


@pytest.mark.parametrize("level", range(5))
def test_a_key_lives_as_long_as_its_level_allows_when_nothing_is_said(product, level):
    made = issue(
        product,
        f"--level={level}",
        "--service=checkout-api",
        "--network=10.0.0.0/8",
        "--caller=svc:a",
        "--cap=1",
    )
    (event,) = records(product, "key", "events", "--key", made["id"])
    lives = datetime.fromisoformat(made["expires_at"]) - datetime.fromisoformat(event["created_at"])
    assert lives == longest(level)


def test_a_key_that_nothing_caps_is_warned_of(product):
    def warned(*words: str) -> bool:
        done = product.try_run("key", "issue", "--agent", AGENT, *words)
        assert done.returncode == 0
        return "--cap 50/month" in done.stderr

    assert warned()
    assert not warned("--cap=50/month")
    assert not warned("--level=3", "--service=checkout-api")
    assert not warned("--scope=mint", "--service=checkout-api")
    product.run("project", "add", "CAPPED")
    product.run("budget", "set", "project:CAPPED", "--cap", "5/day")
    assert warned("--project=CAPPED")
    product.run("budget", "set", "project:CAPPED", "--cap", "5/day", "--hard")
    assert not warned("--project=CAPPED")
    assert warned("--project=HPC")


def test_a_cap_is_a_hard_budget_of_the_key(product):
    made = issue(product, "--cap=0.50/day")
    found = [one for one in records(product, "budget", "list") if one["scope"] == f"key:{made['id']}"]
    assert [(one["cap_usd"], one["period"], one["hard"]) for one in found] == [("0.5", "day", True)]


# ------------------------------------------------------------------ rotation and revocation


def kept(product: Product, key_id: str) -> dict[str, Any]:
    (row,) = product.query("select * from vis_control.virtual_key where id = %s", UUID(key_id))
    return row


def test_a_rotated_key_is_the_same_key_with_another_handle(product):
    pepper = master(product).secret(HANDLE_PEPPER)
    made = issue(product, "--cap=50/month", "--expires=30d")
    budgets = [one for one in records(product, "budget", "list") if one["scope"] == f"key:{made['id']}"]
    words = ("key", "rotate", made["id"], "--overlap", "2h", "--reason", "quarterly", "--envelope")
    rotated = json.loads(product.run(*words, "--json"))
    row = kept(product, made["id"])
    assert rotated["id"] == made["id"]
    assert bytes(row["handle_hmac"]) == at_rest(pepper, rotated["handle"])
    assert bytes(row["previous_hmac"]) == at_rest(pepper, made["handle"])
    assert row["previous_until"] - row["rotated_at"] == timedelta(hours=2)
    assert row["expires_at"] - row["rotated_at"] == timedelta(days=30)
    assert row["rotation"] == 1
    assert [
        one for one in records(product, "budget", "list") if one["scope"] == f"key:{made['id']}"
    ] == budgets

    product.run("key", "rotate", made["id"], "--overlap", "0m", "--reason", "it leaked")
    row = kept(product, made["id"])
    assert (row["rotation"], row["previous_hmac"], row["previous_until"]) == (2, None, None)
    assert row["expires_at"] - row["rotated_at"] == timedelta(days=30)


def test_the_gateway_takes_the_old_handle_while_the_overlap_lasts_and_refuses_it_after_a_leak(product):
    made = issue(product, "--envelope")
    old, envelope = made["handle"], made["envelope"]
    product.until(lambda: product.status(old) == 200)
    words = ("key", "rotate", made["id"], "--reason", "it leaked", "--json", "--overlap")
    new = json.loads(product.run(*words, "1h"))["handle"]
    product.until(lambda: product.status(new) == 200)
    assert [product.status(one) for one in (old, envelope)] == [200, 200]
    newest = json.loads(product.run(*words, "0m"))["handle"]
    product.until(lambda: product.status(newest) == 200)
    assert [product.status(one) for one in (old, envelope, new)] == [401, 401, 401]


def test_the_gateway_refuses_the_keys_of_a_person_who_was_revoked(product):
    made = issue(product, "--envelope")
    product.until(lambda: product.status(made["handle"]) == 200)
    product.run("person", "revoke", "00u-alice", "--reason", "left the company")
    product.until(lambda: product.status(made["handle"]) == 401)
    assert product.status(made["envelope"]) == 401
    again = issue(product)["handle"]
    product.until(lambda: product.status(again) == 200)


def test_an_old_handle_does_not_outlive_the_key(product):
    made = issue(product, "--expires=30m")
    product.run("key", "rotate", made["id"], "--overlap", "7d", "--reason", "quarterly")
    row = kept(product, made["id"])
    assert row["previous_until"].isoformat() == datetime.fromisoformat(made["expires_at"]).isoformat()
    done = product.try_run("key", "rotate", made["id"], "--overlap", "8d", "--reason", "quarterly")
    assert (done.returncode, "at most 7 days" in done.stderr) == (1, True)


def test_a_revoked_key_is_not_rotated_back_to_life(product):
    made = issue(product)
    product.run("key", "revoke", made["id"], "--reason", "it leaked")
    done = product.try_run("key", "rotate", made["id"], "--reason", "quarterly")
    assert (done.returncode, "is revoked: issue a new one" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    "words",
    [("person", "revoke", "00u-alice"), ("org", "revoke-keys", "--yes")],
    ids=["person", "organisation"],
)
def test_what_was_issued_before_a_revocation_of_all_ends_and_what_comes_after_lives(product, words):
    before = issue(product)
    assert key_state(product, before["id"]) == "live"
    product.run(*words, "--reason", "left the company")
    assert key_state(product, before["id"]) == "revoked"
    product.until(lambda: product.status(before["handle"]) == 401)
    done = product.try_run("key", "rotate", before["id"], "--reason", "quarterly")
    assert (done.returncode, "is revoked" in done.stderr) == (1, True)
    after = issue(product)
    assert key_state(product, after["id"]) == "live"
    (row,) = product.query(
        "select org_epoch, person_epoch, person_epoch_now, epoch from vis.keys_v1 join vis.orgs_v1 using (org_id) where key_id = %s",
        UUID(after["id"]),
    )
    assert (row["org_epoch"], row["person_epoch"]) == (row["epoch"], row["person_epoch_now"])


def test_every_key_is_revoked_only_when_that_is_meant(product):
    before = issue(product)
    done = product.try_run("org", "revoke-keys", "--reason", "a slip")
    assert (done.returncode, "--yes" in done.stderr) == (2, True)
    assert key_state(product, before["id"]) == "live"


def test_a_minted_token_is_revoked_by_its_id(product):
    jti, key = str(uuid4()), issue(product)["id"]
    for _ in range(2):
        product.run("token", "revoke", jti, "--reason", "printed in a log")
    found = product.query("select jti from vis.revoked_tokens_v1 where jti = %s", UUID(jti))
    assert len(found) == len(records(product, "key", "events", "--key", jti)) == 1
    done = product.try_run("token", "revoke", key, "--reason", "wrong list")
    assert (done.returncode, f"vis key revoke {key}" in done.stderr) == (1, True)
    done = product.try_run("token", "revoke", jti, "--until", "2020-01-01", "--reason", "late")
    assert (done.returncode, "has passed" in done.stderr) == (1, True)


# ------------------------------------------------------------------ floors


def test_a_floor_is_raised_by_one_person_and_lowered_by_two(product):
    alice, bob = as_person(product, "alice"), as_person(product, "bob")
    alice.run("project", "add", "FLOOR")
    alice.run("floor", "set", "project:FLOOR", "3")
    assert {"scope": "project:FLOOR", "level": 3} in records(product, "floor", "show")
    done = product.try_run("key", "issue", "--agent", AGENT, "--project", "FLOOR")
    assert (done.returncode, "a key at level 3 needs a service" in done.stderr) == (1, True)
    short = ("--project=FLOOR", "--service=checkout-api", "--expires=25h")
    done = product.try_run("key", "issue", "--agent", AGENT, *short)
    assert (done.returncode, "at most 24 hours" in done.stderr) == (1, True)

    alice.run("floor", "set", "project:FLOOR", "1")
    asked = records(product, "floor", "show")[-1]
    assert (asked["scope"], asked["from"], asked["to"], asked["requested_by"]) == (
        "project:FLOOR",
        3,
        1,
        "cli:alice",
    )
    assert {"scope": "project:FLOOR", "level": 3} in records(product, "floor", "show")
    done = alice.try_run("floor", "approve", asked["request"])
    assert (done.returncode, "another person has to approve it" in done.stderr) == (1, True)
    assert {"scope": "project:FLOOR", "level": 3} in records(product, "floor", "show")
    done = bob.try_run("floor", "set", "project:FLOOR", "0")
    assert (done.returncode, "cli:alice asked for a lower floor" in done.stderr) == (1, True)
    bob.run("floor", "approve", asked["request"])
    assert {"scope": "project:FLOOR", "level": 1} in records(product, "floor", "show")
    done = bob.try_run("floor", "approve", asked["request"])
    assert (done.returncode, "nothing waits under" in done.stderr) == (1, True)

    bob.run("floor", "set", "project:FLOOR", "0")
    asked = records(product, "floor", "show")[-1]
    alice.run("floor", "decline", asked["request"])
    assert {"scope": "project:FLOOR", "level": 1} in records(product, "floor", "show")
    events = product.query(
        "select kind, actor, coalesce(detail->>'asked_floor', detail->>'floor') as level from vis.admin_events where detail->>'scope' = 'project:FLOOR' order by seq"
    )
    assert [(event["kind"], event["actor"], event["level"]) for event in events] == [
        ("floor_raised", "cli:alice", "3"),
        ("floor_lower_requested", "cli:alice", "1"),
        ("floor_lowered", "cli:bob", "1"),
        ("floor_lower_requested", "cli:bob", "0"),
        ("floor_lower_declined", "cli:alice", "0"),
    ]


def test_a_floor_that_moved_since_it_was_asked_for_is_not_lowered(product):
    alice, bob = as_person(product, "alice"), as_person(product, "bob")
    alice.run("project", "add", "MOVED")
    alice.run("floor", "set", "project:MOVED", "2")
    alice.run("floor", "set", "project:MOVED", "0")
    asked = records(product, "floor", "show")[-1]
    bob.run("floor", "set", "project:MOVED", "3")
    done = bob.try_run("floor", "approve", asked["request"])
    assert (done.returncode, "the floor is 3 by now and was 2" in done.stderr) == (1, True)
    alice.run("floor", "decline", asked["request"])
    assert {"scope": "project:MOVED", "level": 3} in records(product, "floor", "show")


def test_the_floor_of_the_organisation_holds_for_every_project(product):
    alice, bob = as_person(product, "alice"), as_person(product, "bob")
    alice.run("floor", "set", "org", "1")
    done = product.try_run("key", "issue", "--agent", AGENT)
    alice.run("floor", "set", "org", "0")
    bob.run("floor", "approve", records(product, "floor", "show")[-1]["request"])
    assert (done.returncode, "a key at level 1 needs the networks" in done.stderr) == (1, True)
    assert records(product, "floor", "show")[0] == {"scope": "org", "level": 0}


# ------------------------------------------------------------------ services and binding keys


def master(product: Product) -> EnvKeyProvider:
    return from_data_dir(product.data_dir, may_make=False, report=lambda words: None)


def opened(sealed: dict[str, Any], private: X25519PrivateKey) -> bytes:
    suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
    text = urlsafe_b64decode(sealed["enc_ct"] + "==")
    return suite.decrypt(text, private, info=info(sealed["key_id"], sealed["aud"]))


def test_a_binding_key_is_opened_by_its_service_and_at_rest_in_its_own_row_only(product):
    private = X25519PrivateKey.generate()
    add_service(product, "ledger-bot", private)
    made = json.loads(product.run("binding-key", "create", "ledger-bot"))
    newer = json.loads(product.run("binding-key", "rotate", "ledger-bot", "--reason", "quarterly"))
    secrets = {one["key_id"]: opened(one, private) for one in (made, newer)}
    assert len(set(secrets.values())) == 2

    keys = master(product)
    rows = product.query(
        """select org_id, binding_key_id as id, 'binding' as kind, sealed, kek_id, generation, wrapped from vis.binding_keys_v1
           union all select org_id, signing_key_id, 'signing', sealed, kek_id, generation, wrapped from vis.signing_keys_v1"""
    )
    kinds = {"binding": binding_context, "signing": signing_context}
    for row, place in itertools.product(rows, rows):
        context = organisation_context(row["org_id"], row["kek_id"], row["generation"])
        kek = keys.unwrap(context, bytes(row["wrapped"]))
        where = kinds[place["kind"]](place["org_id"], place["id"], place["kek_id"], place["generation"])
        if row is place:
            found = unseal(kek, where, bytes(row["sealed"]))
            assert secrets.get(str(row["id"]), found) == found
        else:
            with pytest.raises(SealBroken):
                unseal(kek, where, bytes(row["sealed"]))
    assert {row["kind"] for row in rows} == set(kinds)


def test_a_binding_key_is_printed_by_no_command_and_kept_in_no_table(product):
    private = X25519PrivateKey.generate()
    add_service(product, "quiet", private)
    printed = product.run("binding-key", "create", "quiet")
    secret = opened(json.loads(printed), private)
    spellings = [secret.hex(), urlsafe_b64encode(secret).rstrip(b"=").decode()]
    seen = printed + product.run("binding-key", "list", "--json") + product.run("key", "events", "--json")
    for table in ("binding_key", "service", "signing_key"):
        seen += json.dumps(product.query(f"select t::text from vis_control.{table} t"))
    assert "binding_key_created" in seen
    assert not any(spelled in seen for spelled in spellings)


def test_the_others_end_when_a_binding_key_is_rotated_and_envelopes_name_the_newest(product):
    add_service(product, "turning", X25519PrivateKey.generate())
    done = product.try_run("key", "issue", "--agent", AGENT, "--service", "turning", "--envelope")
    assert (done.returncode, "make one with `vis binding-key create turning`" in done.stderr) == (1, True)
    first = json.loads(product.run("binding-key", "create", "turning"))["key_id"]
    words = ("binding-key", "rotate", "turning", "--reason", "quarterly", "--overlap")
    second = json.loads(product.run(*words, "1h"))["key_id"]
    third = json.loads(product.run(*words, "2h"))["key_id"]
    found = {one["id"]: one for one in records(product, "binding-key", "list") if one["service"] == "turning"}
    assert [found[one]["state"] for one in (first, second, third)] == ["retiring", "retiring", "live"]
    ends = [datetime.fromisoformat(found[one]["retires_at"]) for one in (first, second)]
    made = [datetime.fromisoformat(found[one]["made_at"]) for one in (second, third)]
    assert ends == [made[0] + timedelta(hours=1), made[1] + timedelta(hours=2)]

    product.run("binding-key", "revoke", third, "--reason", "host was taken over")
    done = product.try_run("key", "issue", "--agent", AGENT, "--service", "turning", "--envelope")
    assert (done.returncode, "has no binding key" in done.stderr) == (1, True)


def test_the_key_of_a_service_is_never_replaced(product):
    other = urlsafe_b64encode(X25519PrivateKey.generate().public_key().public_bytes_raw()).decode()
    done = product.try_run("service", "add", "checkout-api", "--x25519", other)
    assert (done.returncode, "its key is never replaced" in done.stderr) == (1, True)
    (found,) = [one for one in records(product, "service", "list") if one["name"] == "checkout-api"]
    assert urlsafe_b64decode(found["x25519"] + "=") == SERVICE.public_key().public_bytes_raw()
    zero = urlsafe_b64encode(bytes(32)).decode()
    done = product.try_run("service", "add", "zero", "--x25519", zero)
    assert (done.returncode, "small order" in done.stderr) == (1, True)


# ------------------------------------------------------------------ the audit


def test_each_step_in_the_life_of_a_key_is_an_event_with_actor_reason_and_source(product):
    carol = as_person(product, "carol")
    add_service(carol, "audited", X25519PrivateKey.generate())
    key = issue(carol, "--reason", "first day")["id"]
    carol.run("key", "rotate", key, "--reason", "quarterly")
    carol.run("key", "revoke", key, "--reason", "it leaked")
    bound = json.loads(carol.run("binding-key", "create", "audited", "--reason", "roll-out"))["key_id"]
    carol.run("binding-key", "rotate", "audited", "--reason", "quarterly")
    carol.run("binding-key", "revoke", bound, "--reason", "host was taken over")
    carol.run("signing-key", "rotate", "--reason", "quarterly")
    signing = records(carol, "signing-key", "list")[0]["id"]
    carol.run("signing-key", "revoke", signing, "--reason", "seed was seen")
    carol.run("token", "revoke", str(uuid4()), "--reason", "printed in a log")
    carol.run("person", "revoke", "00u-alice", "--reason", "left the company")
    carol.run("org", "revoke-keys", "--reason", "the vault was open", "--yes")
    mine = [one for one in records(product, "key", "events") if one["actor"] == "cli:carol"]
    assert [(one["kind"], one["detail"]["reason"], one["detail"]["source"]) for one in reversed(mine)] == [
        ("service_registered", "it calls models", "cli"),
        ("issued", "first day", "cli"),
        ("rotated", "quarterly", "cli"),
        ("revoked", "it leaked", "cli"),
        ("binding_key_created", "roll-out", "cli"),
        ("binding_key_rotated", "quarterly", "cli"),
        ("binding_key_revoked", "host was taken over", "cli"),
        ("signing_key_rotated", "quarterly", "cli"),
        ("signing_key_made", "quarterly", "cli"),
        ("signing_key_revoked", "seed was seen", "cli"),
        ("signing_key_made", "seed was seen", "cli"),
        ("token_revoked", "printed in a log", "cli"),
        ("person_revoked", "left the company", "cli"),
        ("all_revoked", "the vault was open", "cli"),
    ]
    of_the_key = records(product, "key", "events", "--key", key)
    assert [one["kind"] for one in of_the_key] == ["revoked", "rotated", "issued"]
    assert {one["subject"] for one in of_the_key} == {AGENT}


@pytest.mark.parametrize(
    "words",
    [
        ("key", "rotate", "k"),
        ("person", "revoke", "p"),
        ("org", "revoke-keys", "--yes"),
        ("binding-key", "rotate", "s"),
        ("binding-key", "revoke", "b"),
        ("signing-key", "rotate"),
        ("signing-key", "revoke", "s"),
        ("token", "revoke", "01a20239-9713-7d0c-99ac-4c3966b7490e"),
    ],
    ids=" ".join,
)
def test_what_ends_or_replaces_a_key_needs_a_reason(tmp_path, words):
    nowhere = {"VIS_DATA_DIR": str(tmp_path / "none")}
    for reason in ((), ("--reason", " "), ("--reason", "a\nb")):
        done = CliRunner().invoke(vis, [*words, *reason], env=nowhere)
        assert done.exit_code == 2
        assert "--reason" in done.stderr
