"""`vis evidence keys`: the list that a verifier is given, and the keys in it replaced (L3)."""

import json
from base64 import b64decode
from datetime import datetime
from hashlib import sha256
from uuid import UUID

import rfc8785

from vis_verify.keys import read_list


def keys_of(product, *words: str) -> dict:
    text = product.run("evidence", "keys", *words)
    found = json.loads(text)
    assert text == rfc8785.dumps(found).decode() + "\n"
    assert read_list(text)
    return found


def of_role(product, role: str) -> list[dict]:
    return [key for key in keys_of(product)["keys"] if key["role"] == role]


def test_the_list_has_a_key_of_each_role_in_the_form_that_is_fixed(product):
    product.until(lambda: product.try_run("evidence", "keys").returncode == 0)
    found = keys_of(product)
    (stored,) = product.query("select installation_id from vis.installation")
    assert {role["role"] for role in found["keys"]} == {"log", "pack", "receipt"}
    assert (found["type"], found["v"]) == ("visionality verification keys", 1)
    assert UUID(found["installation"]) == stored["installation_id"]
    assert found["org"]["slug"] == "default"
    for key in found["keys"]:
        assert sorted(key) == [
            *("active_from", "alg", "fingerprint", "public", "revoked_at", "role", "verify_until"),
        ]
        assert key["fingerprint"] == sha256(b64decode(key["public"])).hexdigest()
        assert datetime.fromisoformat(key["active_from"]).tzinfo


def test_a_key_that_is_rotated_stays_believed_and_another_signs(product):
    product.until(lambda: product.try_run("evidence", "keys").returncode == 0)
    product.run("org", "add", "rotating", "--name", "Rotating Ltd")
    product.until(lambda: product.try_run("evidence", "keys", "--org", "rotating").returncode == 0)
    (before,) = [key for key in keys_of(product, "--org", "rotating")["keys"] if key["role"] == "log"]
    said = product.run(
        "evidence", "keys", "rotate", "--role", "log", "--reason", "yearly", "--org", "rotating"
    )
    assert before["fingerprint"] in said

    def log_keys():
        return [key for key in keys_of(product, "--org", "rotating")["keys"] if key["role"] == "log"]

    product.until(lambda: len(log_keys()) == 2)
    old, new = log_keys()
    assert old == before | {"verify_until": old["verify_until"]}
    assert old["verify_until"] >= new["active_from"]
    assert (new["verify_until"], new["revoked_at"]) == (None, None)

    product.run("evidence", "keys", "revoke", new["fingerprint"], "--reason", "seen", "--org", "rotating")
    product.until(lambda: len(log_keys()) == 3)
    assert log_keys()[1]["revoked_at"]
    assert log_keys()[2]["revoked_at"] is None
    (org,) = product.query("select org_id from vis.orgs_v1 where slug = 'rotating'")
    events = product.query(
        "select kind, detail, actor from vis.key_events where org_id = %s and kind like 'evidence%%' order by seq",
        org["org_id"],
    )
    assert [one["kind"] for one in events] == ["evidence_key_rotated", "evidence_key_revoked"]
    assert [one["detail"]["fingerprint"] for one in events] == [before["fingerprint"], new["fingerprint"]]
    assert [one["detail"]["reason"] for one in events] == ["yearly", "seen"]


def test_what_is_not_there_is_said_in_a_sentence(product):
    product.until(lambda: product.try_run("evidence", "keys").returncode == 0)
    done = product.try_run("evidence", "keys", "revoke", "00" * 32, "--reason", "x")
    assert done.returncode == 1
    assert "there is no evidence key" in done.stderr
    assert product.try_run("evidence", "keys", "rotate", "--role", "root", "--reason", "x").returncode == 2
    assert product.try_run("evidence", "keys", "rotate", "--role", "log").returncode == 2
