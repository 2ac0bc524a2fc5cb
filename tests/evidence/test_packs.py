"""Evidence packs (promises L3, S3, S4): what is in one, what is not, and that one which is not true is never made."""

import json
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import asdict

from evidence.packing import DECEMBER_3, Packer, payload_of, predicate_of, rows_in
from evidence.sealed import NOON
from ledger.rows import insert, smallest
from vis_verify.note import Witness
from visionality.core import dsse
from visionality.core.canonical import leaf_hash, row_bytes
from visionality.core.checkpoint import cosigned
from visionality.core.period import Period
from visionality.evidence.cosignatures import add
from visionality.evidence.heads import newest
from visionality.evidence.keys import active, ask_to_revoke, ask_to_rotate, everything
from visionality.evidence.packs import WITHOUT_PREVIOUS, CannotMake
from visionality.evidence.segment_rows import RowAltered

LAST_OF_OCTOBER = datetime(2026, 10, 31, 23, 59, 59, 999_999, UTC)
FIRST_OF_NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)
LAST_OF_NOVEMBER = datetime(2026, 11, 30, 23, 59, 59, 999_999, UTC)
FIRST_OF_DECEMBER = datetime(2026, 12, 1, tzinfo=UTC)


@pytest.fixture
def packer(installation, tmp_path):
    folder = tmp_path / "packs"
    folder.mkdir()
    packer = Packer(installation, folder)
    packer.project("HPC", "SOCE", customer="houston-power")
    packer.project("QUIET")
    return packer


def tamper(packer, statement, *values):
    """What somebody with all rights can do."""
    with packer.installation.database.as_role("vis_super") as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute("alter table vis.request_logs disable trigger all")
        for (month,) in connection.execute(
            "select inhrelid::regclass::text from pg_inherits where inhparent = 'vis.request_logs'::regclass"
        ).fetchall():
            connection.execute(f"alter table {month} disable trigger all")
        done = connection.execute(statement, values)
        assert done.rowcount == 1


def test_a_pack_of_a_project_has_its_rows_and_nobody_elses_and_is_verified(packer):
    ours = [packer.installation.write(created_at=NOON + timedelta(days=n)) for n in range(5)]
    theirs = packer.installation.write(102, project_id="SOCE")
    made, path = packer.make("project", "HPC")
    verdict = packer.verdict(path, project="HPC", fingerprint=made.fingerprint.hex())
    assert verdict.exit_code == 0, verdict.lines
    assert verdict.facts["rows"] == {"carried": "embedded", "checked": 5}
    assert rows_in(path) == [json.loads(row_bytes(asdict(row))) for row in ours]
    assert str(theirs.id) not in b64decode(json.loads(path.read_bytes())["payload"]).decode()
    assert made.row_count == 5


def test_its_payload_is_in_the_canonical_form_of_any_library(packer):
    packer.installation.write(memo='a "quoted" \u2028 line\nand \U0001f680 \x7f', rates={"in_text": "0.1"})
    packer.installation.write(currency="EUR", price_version=3, usage_source="none")
    for rows in ("embedded", "file", "none"):
        _, path = packer.make("organisation", "", rows)
        written = b64decode(json.loads(path.read_bytes())["payload"])
        assert written == rfc8785.dumps(json.loads(written))
        assert path.read_bytes() == rfc8785.dumps(json.loads(path.read_bytes()))


def test_totals_are_those_of_the_period_to_the_moment_and_segments_are_whole(packer):
    edges = (LAST_OF_OCTOBER, FIRST_OF_NOVEMBER, LAST_OF_NOVEMBER, FIRST_OF_DECEMBER)
    for at in edges:
        packer.installation.write(created_at=at, cost_nusd=1_500_000_000, billed_nusd=2_000_000_000)
    _, path = packer.make()
    total = predicate_of(path)["totals"]["USD"]
    assert (total["rows"], total["cost"], total["billed"]) == (2, "3", "4")
    assert total["by_usage_source"] == {"none": {"billed": "4", "cost": "3", "rows": 2}}
    assert total["by_price_state"] == {"free": {"billed": "4", "cost": "3", "rows": 2}}
    assert packer.verdict(path).exit_code == 0
    assert predicate_of(path)["period"] == {
        "from": "2026-11-01",
        "to": "2026-11-30",
        "starts_at": "2026-11-01T00:00:00.000000Z",
        "ends_at": "2026-12-01T00:00:00.000000Z",
    }


def test_a_row_that_was_sealed_late_is_in_the_pack(packer):
    packer.installation.write(created_at=NOON)
    packer.installation.seal(NOON)
    packer.make()
    late = packer.installation.write(created_at=NOON + timedelta(hours=1))
    packer.now += timedelta(hours=1)
    _, path = packer.make()
    assert str(late.id) in [row["id"] for row in rows_in(path)]
    assert predicate_of(path)["totals"]["USD"]["rows"] == 2
    assert packer.verdict(path).exit_code == 0


def test_a_pack_waits_for_its_witness_and_the_verifier_names_it(packer):
    """The witness goes round while the pack waits, as one does every minute, and co-signs whatever head is the newest."""
    packer.installation.write()
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    asked = {"witnesses": (Witness("audit.example.com", public),)}
    _, path = packer.make()
    assert packer.verdict(path, **asked).exit_code == 43
    with pytest.raises(CannotMake, match=r"no line of a witness audit\.example\.com ever came back"):
        packer.make(witness="audit.example.com")
    go_round(packer, private)
    with pytest.raises(CannotMake, match="has co-signed 2 leaves of the log segments, and the pack needs 3"):
        packer.make(witness="audit.example.com", patience=3)
    with ThreadPoolExecutor(1) as pool:
        later = pool.submit(packer.make, witness="audit.example.com")
        while not later.done():
            go_round(packer, private)
        _, path = later.result()
    verdict = packer.verdict(path, **asked)
    assert (verdict.exit_code, verdict.facts["attestation"]) == (0, "witnessed by audit.example.com")
    assert packer.verdict(path).facts["attestation"] == "self-attested", (
        "who asks for nobody is told of nobody"
    )


def go_round(packer, private):
    """What a witness does: it signs the newest head, and its line comes back."""
    org = packer.installation.org
    with packer.installation.database.as_role("vis_web", org) as connection:
        head = newest(connection, org, "segments")
        note = cosigned(head.note, "audit.example.com", private, int(packer.now.timestamp()))
        add(connection, org, note, ("audit.example.com", private.public_key().public_bytes_raw()), packer.now)


def test_a_day_that_runs_is_closed_for_the_pack_and_goes_on(packer):
    packer.now = NOON + timedelta(hours=1)
    packer.installation.write()
    first, path = packer.make()
    assert packer.verdict(path).exit_code == 0
    assert any("had not ended" in limit for limit in predicate_of(path)["limits"])
    packer.installation.write(created_at=NOON + timedelta(minutes=5))
    packer.now += timedelta(hours=1)
    second, path = packer.make()
    assert packer.verdict(path).exit_code == 0
    assert (first.row_count, second.row_count) == (1, 2)


@pytest.mark.parametrize(
    ("kind", "name"), [("project", "QUIET"), ("organisation", ""), ("customer", "houston-power")]
)
def test_where_nothing_was_spent_a_pack_says_so(packer, kind, name):
    made, path = packer.make(kind, name)
    verdict = packer.verdict(path)
    assert verdict.exit_code == 0, verdict.lines
    assert (made.row_count, predicate_of(path)["totals"]) == (0, {})
    chains = predicate_of(path)["ledger"]["chains"]
    assert [chain["project_id"] for chain in chains] == predicate_of(path)["scope"]["projects"]


def test_a_customer_is_all_its_projects_and_an_organisation_everything(packer):
    for project in ("HPC", "SOCE", "QUIET", None):
        packer.installation.write(project_id=project)
    _, path = packer.make("customer", "houston-power")
    assert predicate_of(path)["scope"] == {
        "kind": "customer",
        "name": "houston-power",
        "projects": ["HPC", "SOCE"],
    }
    assert {row["project_id"] for row in rows_in(path)} == {"HPC", "SOCE"}
    assert packer.verdict(path, customer="houston-power").exit_code == 0
    _, path = packer.make("organisation", "")
    assert predicate_of(path)["scope"] == {
        "kind": "organisation",
        "name": "default",
        "projects": ["-", "HPC", "QUIET", "SOCE"],
    }
    assert len(rows_in(path)) == 4
    assert packer.verdict(path).exit_code == 0


def test_rows_by_reference_stand_in_a_file_whose_digest_is_signed(packer):
    rows = [packer.installation.write(project_id=project) for project in ("SOCE", "HPC", "HPC")]
    _, path = packer.make("customer", "houston-power", "file")
    beside = path.with_suffix(".jsonl")
    in_file = [json.loads(line)["id"] for line in beside.read_bytes().splitlines()]
    assert in_file == [str(rows[place].id) for place in (1, 2, 0)]
    assert packer.verdict(path, rows=beside).exit_code == 0
    assert packer.verdict(path).exit_code != 0
    beside.write_bytes(beside.read_bytes().replace(b'"cost_nusd":"1000"', b'"cost_nusd":"1001"', 1))
    assert packer.verdict(path, rows=beside).exit_code == 50


def test_without_rows_the_sums_of_segments_are_checked(packer):
    packer.installation.write()
    made, path = packer.make(rows="none")
    assert made.row_count == 1
    assert predicate_of(path)["ledger"]["chains"][0]["rows"] is None
    assert any("rows are not in it" in limit for limit in predicate_of(path)["limits"])
    assert packer.verdict(path).exit_code == 0


@pytest.mark.parametrize("rows", ["embedded", "file", "none"])
def test_a_row_that_was_edited_is_named_and_no_pack_is_made(packer, rows):
    packer.installation.write()
    edited = packer.installation.write()
    packer.installation.seal_all()
    tamper(packer, "update vis.request_logs set cost_nusd = 1 where id = %s", edited.id)
    with pytest.raises(RowAltered) as told:
        packer.make(rows=rows)
    assert str(edited.id) in str(told.value)
    assert f"number {edited.wseq} of writer {edited.writer_no}" in str(told.value)
    assert str(packer.installation.org) in str(told.value)


def test_a_row_that_was_edited_with_its_leaf_is_named_all_the_same(packer):
    packer.installation.write()
    edited = packer.installation.write()
    packer.installation.seal_all()
    forged = asdict(edited) | {"cost_nusd": 1}
    tamper(
        packer,
        "update vis.request_logs set cost_nusd = 1, leaf_hash = %s where id = %s",
        leaf_hash(forged),
        edited.id,
    )
    with pytest.raises(
        RowAltered, match=f"number {edited.wseq} of writer 101.*is not the one that was sealed"
    ):
        packer.make()


def test_a_row_that_holds_what_no_row_can_is_named(packer):
    edited = packer.installation.write()
    packer.installation.seal_all()
    tamper(packer, "update vis.request_logs set usage = '{\"in_text\": 0.5}' where id = %s", edited.id)
    with pytest.raises(RowAltered, match=str(edited.id)):
        packer.make()


@pytest.mark.parametrize(
    "statement",
    [
        "delete from vis.request_logs where id = %s",
        "update vis.request_logs set project_id = 'SOCE' where id = %s",
        "update vis.request_logs set created_at = created_at + interval '1 day' where id = %s",
    ],
)
def test_a_row_that_was_taken_away_is_named(packer, statement):
    packer.installation.write()
    gone = packer.installation.write()
    packer.installation.seal_all()
    tamper(packer, statement, gone.id)
    with pytest.raises(RowAltered, match=f"row {gone.id} .* number 2 of project HPC"):
        packer.make()


def test_a_pack_from_which_a_row_was_left_out_is_no_pack_even_when_it_is_signed_again(packer):
    for _ in range(3):
        packer.installation.write()
    _, path = packer.make()
    payload = payload_of(path)
    del payload["predicate"]["ledger"]["chains"][0]["rows"][0][1]
    with packer.installation.database.as_role("vis_web", packer.installation.org) as connection:
        _, private = active(connection, packer.installation.keys, packer.installation.org, "pack")
    path.write_bytes(dsse.envelope(rfc8785.dumps(payload), private))
    verdict = packer.verdict(path)
    assert (verdict.exit_code, "2 are there" in verdict.sentence) == (50, True), verdict.lines


def test_the_rows_of_late_writers_are_in_the_order_in_which_they_were_sealed(packer):
    for day in range(3):
        for writer in (101, 102, 103):
            packer.installation.write(writer, created_at=NOON + timedelta(days=day, hours=-writer))
        packer.installation.seal_all(NOON + timedelta(days=day))
    packer.installation.write(101, created_at=NOON - timedelta(days=9))
    made, path = packer.make()
    numbered = [str(row_id) for _, row_id in packer.installation.numbered()]
    assert [row["id"] for row in rows_in(path)] == numbered
    assert made.row_count == 10


def test_what_is_not_there_is_told(packer):
    for kind, name in (
        ("project", "NOBODY"),
        ("customer", "nobody"),
        ("project", "hpc'; --"),
        ("project", "-"),
    ):
        with pytest.raises(CannotMake, match="there is no"):
            packer.make(kind, name)


def test_a_customer_without_projects_is_told(packer):
    packer.project(customer="new-one")
    with pytest.raises(CannotMake, match="has no project"):
        packer.make("customer", "new-one")


def test_a_period_that_is_to_come_is_refused_and_one_that_began_is_not(packer):
    tomorrow = DECEMBER_3.date() + timedelta(days=1)
    with pytest.raises(CannotMake, match="yet to come"):
        packer.make(period=Period(tomorrow, tomorrow))
    _, path = packer.make(period=Period(DECEMBER_3.date(), tomorrow))
    assert packer.verdict(path).exit_code == 0


def test_without_a_sealer_it_is_said_at_last(packer, monkeypatch):
    monkeypatch.setattr("visionality.evidence.packs.SILENT", timedelta(0))
    monkeypatch.setattr(packer.installation, "seal", lambda now: None)
    with pytest.raises(CannotMake, match="no sealer has worked"):
        packer.make()


def test_more_rows_than_are_read_here_are_told_before_any_is_read(packer):
    for _ in range(3):
        packer.installation.write()
    with pytest.raises(CannotMake, match="3 rows, and 2 at most"):
        packer.make(most=2)


def test_hostile_names_stay_text(packer):
    hostile = '"}],"x":[{"\u202e<script>\\'
    packer.installation.write(task_id=hostile, memo="\x1b[2J", repo="a" * 3000)
    _, path = packer.make()
    assert rows_in(path)[0]["task_id"] == hostile
    assert packer.verdict(path).exit_code == 0


def test_controls_are_six_and_none_is_made_up(packer):
    _, path = packer.make(rows="none")
    controls = predicate_of(path)["controls"]
    assert [one["control"] for one in controls] == [
        "CC6.1", "CC6.2/6.3", "CC6.6/6.7", "CC7.1/7.2", "CC7.3/7.4", "CC8.1",
    ]  # fmt: skip
    assert all(one["mechanisms"] for one in controls)
    mappings = predicate_of(path)["mappings"]
    assert (mappings["wording"], set(mappings["entries"])) == (
        "supports",
        {one["control"] for one in controls},
    )


def test_prices_are_those_that_rows_of_the_period_name_each_once(packer):
    packer.installation.write(price_version=2, rates={"out_text": "4", "in_text": "1"})
    packer.installation.write(price_version=2, rates={"in_text": "1", "out_text": "4"})
    packer.installation.write(price_version=1, rates={"in_text": "1"})
    packer.installation.write(price_version=9, rates={"in_text": "7"}, created_at=FIRST_OF_DECEMBER)
    _, path = packer.make()
    assert predicate_of(path)["prices"] == [
        {"price_version": 1, "rates": {"in_text": "1"}},
        {"price_version": 2, "rates": {"in_text": "1", "out_text": "4"}},
    ]
    assert packer.verdict(path).exit_code == 0


def test_after_an_old_backup_no_pack_is_made_for_a_scope_that_knows_more(packer):
    packer.installation.write()
    ahead = smallest("evidence_packs", packer.installation.org, NOON)
    with packer.installation.database.as_role("vis_web", packer.installation.org) as connection:
        insert(connection, "evidence_packs", ahead | {"scope_name": "HPC", "checkpoint_size": 99})
    with pytest.raises(CannotMake, match="as after an old backup"):
        packer.make()
    assert packer.make("project", "SOCE")


def hand_out(packer, made):
    """Keep it as the command does, as far as the next pack looks at it."""
    row = smallest("evidence_packs", packer.installation.org, packer.now)
    kept = {"checkpoint": made.pack.checkpoint, "checkpoint_size": made.checkpoint_size, "scope_name": "HPC"}
    with packer.installation.database.as_role("vis_web", packer.installation.org) as connection:
        insert(connection, "evidence_packs", row | kept)


@pytest.mark.parametrize("act", ["rotate", "revoke"])
def test_a_key_of_heads_that_was_replaced_does_not_end_the_packs_of_a_scope(packer, act):
    packer.installation.write()
    made, _ = packer.make()
    hand_out(packer, made)
    org = packer.installation.org
    with packer.installation.database.as_role("vis_web", org) as connection, connection.cursor() as cursor:
        (log_key,) = [key for key in everything(connection, org) if key.role == "log"]
        if act == "rotate":
            ask_to_rotate(cursor, org, "log", packer.now)
        else:
            ask_to_revoke(cursor, org, "log", log_key.key_id, packer.now)
    packer.now += timedelta(minutes=1)
    _, path = packer.make()
    ledger = predicate_of(path)["ledger"]
    assert (ledger["previous"] is None) == (act == "revoke")
    assert (WITHOUT_PREVIOUS in predicate_of(path)["limits"]) == (act == "revoke")
    assert packer.verdict(path).exit_code == 0
