"""`vis evidence pack` on a running installation (S3): what it writes is verified, its maker's alone, and whole or not there."""

import json
import resource
import stat
import subprocess
import sys
from base64 import b64decode
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest

from product import PATIENCE, VIS
from visionality.evidence.keys import published
from visionality.postgres import read_endpoint
from visionality.runtime.clock import utc_now
from web.rows import call, write

ORG = "packs"
MONTH = f"{utc_now():%Y-%m}"


@pytest.fixture(scope="module")
def house(product, tmp_path_factory):
    """An organisation of its own, with rows of two of its three projects."""
    product.run("org", "add", ORG, "--name", 'Packs & "Sons" <b>')
    for key in ("ONE", "TWO", "NONE"):
        product.run("project", "add", key, "--name", key, "--org", ORG)
    (org,) = product.query("select org_id from vis.orgs_v1 where slug = %s", ORG)
    rows = [call(project_id=("ONE", "TWO", None)[place % 3]) for place in range(9)]
    dsn = read_endpoint(product.data_dir).dsn("vis")
    write(dsn, tmp_path_factory.mktemp("spill"), UUID(str(org["org_id"])), rows)
    return product


def pack(product, path, *words, month=MONTH):
    asked = ("evidence", "pack", "--org", ORG, "-o", str(path), *words)
    return product.try_run(*asked, *(("--month", month) if month else ()))


def verified(product, path, *words):
    keys = path.with_name("keys.json")
    with psycopg.connect(read_endpoint(product.data_dir).dsn("vis")) as connection:
        (org_id,) = connection.execute("select org_id from vis.orgs_v1 where slug = %s", [ORG]).fetchone()
        connection.execute("select set_config('vis.org_id', %s, true)", [str(org_id)])
        keys.write_bytes(published(connection, org_id, utc_now()))
    command = [sys.executable, "-m", "vis_verify", str(path), "--key", str(keys), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)


def predicate_of(path):
    return json.loads(b64decode(json.loads(path.read_bytes())["payload"]))["predicate"]


def test_what_is_written_is_verified_and_its_owners_alone_and_recorded(house, tmp_path):
    path = tmp_path / "pack.json"
    done = pack(house, path, "--project", "ONE")
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["pack.json"]
    fingerprint = next(line for line in done.stdout.splitlines() if line.startswith("fingerprint")).split()[1]
    verdict = verified(house, path, "--project", "ONE", "--period", MONTH, "--fingerprint", fingerprint)
    assert verdict.returncode == 0, verdict.stdout
    assert "3 checked" in verdict.stdout
    (kept,) = house.query(
        "select * from vis.evidence_packs where fingerprint = %s", bytes.fromhex(fingerprint)
    )
    assert (kept["scope_name"], kept["row_count"], bytes(kept["envelope"])) == ("ONE", 3, path.read_bytes())
    (event,) = house.query(
        "select detail from vis.admin_events where kind = 'evidence_pack_made' and detail ->> 'fingerprint' = %s",
        fingerprint,
    )
    assert event["detail"]["scope"] == "project:ONE"


def test_two_packs_of_a_scope_are_shown_to_be_of_one_ledger(house, tmp_path):
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    assert pack(house, first, "--project", "TWO", "--rows", "none").returncode == 0
    assert pack(house, second, "--project", "TWO", "--rows", "none").returncode == 0
    ledgers = [predicate_of(path)["ledger"] for path in (first, second)]
    assert ledgers[1]["previous"]["checkpoint"] == ledgers[0]["checkpoint"]
    head = tmp_path / "head"
    head.write_text(ledgers[0]["checkpoint"])
    verdict = verified(house, second, "--prev", str(head))
    assert verdict.returncode == 0, verdict.stdout


def test_all_of_an_organisation_with_its_rows_in_a_file_beside_it(house, tmp_path):
    path = tmp_path / "all.json"
    done = pack(house, path, "--all", "--rows", "file", "--json")
    told = json.loads(done.stdout)
    beside = tmp_path / "all-rows.jsonl"
    assert told["files"] == [str(path), str(beside)]
    assert (told["rows"], len(beside.read_bytes().splitlines())) == (9, 9)
    assert stat.S_IMODE(beside.stat().st_mode) == 0o600
    assert told["scope"]["projects"] == ["-", "NONE", "ONE", "TWO"]
    verdict = verified(house, path, "--rows", str(beside))
    assert verdict.returncode == 0, verdict.stdout


def test_a_disk_that_is_full_leaves_no_file_and_what_was_there_before(house, tmp_path):
    path = tmp_path / "pack.json"
    path.write_text("the one of before")
    command = [*VIS, "evidence", "pack", "--org", ORG, "--all", "--month", MONTH, "-o", str(path)]
    done = subprocess.run(
        [*command, "--data-dir", str(house.data_dir)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        env=house.environment,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
    )
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("pack.json", "the one of before")]


def test_what_cannot_be_made_is_told_in_a_sentence_and_writes_nothing(house, tmp_path):
    path = tmp_path / "pack.json"
    to_come = f"{utc_now() + timedelta(days=40):%Y-%m}"
    for words, month, sentence in (
        (("--project", "NOBODY"), MONTH, "there is no project NOBODY"),
        (("--project", "'; drop"), MONTH, "there is no project '; drop"),
        (("--customer", "nobody"), MONTH, "there is no customer nobody"),
        (("--all",), to_come, "yet to come"),
        (("--all", "--project", "ONE"), MONTH, "say once what the pack is of"),
        ((), MONTH, "say once what the pack is of"),
        (("--all",), None, "say the period once"),
    ):
        done = pack(house, path, *words, month=month)
        assert (done.returncode != 0, sentence in done.stderr) == (True, True), done.stderr
        assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
    done = pack(house, tmp_path / "no" / "such" / "place.json", "--all")
    assert "cannot be written" in done.stderr
    done = house.try_run("evidence", "pack", "--org", ORG, "--all", "--month", MONTH, "-o", "/dev/null")
    assert "is no file" in done.stderr
