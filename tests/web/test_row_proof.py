"""The proof of a row over the API: what a receipt's holder is given by whoever may read the ledger (S4)."""

import base64

import pytest

import evidence_keys
from visionality.core import merkle
from visionality.core.checkpoint import read_note
from visionality.runtime.ids import uuid7
from visionality.vault.keyproviders.env import from_text
from web.programs import full_program
from web.rows import call

KEYS = from_text(base64.b64encode(bytes(range(32))).decode())


def test_a_row_is_proved_under_the_newest_head_and_only_to_its_own_organisation(office, new_office):
    with office.plane.database.as_role("vis_super") as connection:
        connection.execute(
            "insert into vis.installation (installation_id, master_fingerprint) values (%s, %s) on conflict do nothing",
            [uuid7(), bytes(32)],
        )
    program, theirs = full_program(office), full_program(new_office())
    rows = office.write(*(call() for _ in range(5)))
    path = f"rows/{rows[3].id}/proof"
    assert program.send("GET", path).status == 404
    evidence_keys.seal(office.plane.database, KEYS)
    proof = program.send("GET", path).content
    assert (proof["type"], proof["v"]) == ("inclusion", 1)
    head = read_note(proof["checkpoint"]).checkpoint
    assert head.origin.endswith(f"/{office.org_id}/request_logs")
    steps = [bytes.fromhex(step) for step in proof["inclusion"]["path"]]
    place = (proof["inclusion"]["index"], head.size)
    assert merkle.check_inclusion(bytes.fromhex(proof["leaf"]), *place, steps, head.root)
    evidence = program.send("GET", f"rows/{rows[3].id}").content["items"][0]
    assert evidence["row"]["leaf_hash"] == proof["leaf"]
    refused, unknown = theirs.send("GET", path), uuid7()
    assert refused.status == 404
    told = theirs.send("GET", f"rows/{unknown}/proof").content["detail"]
    assert refused.content["detail"] == told.replace(str(unknown), str(rows[3].id))


@pytest.mark.parametrize(
    "name", ["ffffffff-ffff-7fff-bfff-ffffffffffff", "e6707a6e-afff-7000-8000-000000000000"]
)
def test_an_id_of_no_time_is_of_no_row(office, name):
    program = full_program(office)
    assert [program.send("GET", path).status for path in (f"rows/{name}", f"rows/{name}/proof")] == [404, 404]
    assert office.browser.get(f"/rows/{name}").status == 404
