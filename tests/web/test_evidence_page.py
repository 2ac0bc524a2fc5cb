"""Evidence packs on a page (S3): made, looked at, taken and checked; by whom, and what is refused in words."""

import base64
import json
import re
from contextlib import contextmanager
from threading import Event, Thread
from urllib.parse import urlsplit

import psycopg
import pytest

import vis_verify
from ledger.rows import insert, smallest
from visionality.evidence.sealing import step
from visionality.runtime.clock import utc_now
from visionality.runtime.ids import uuid7
from visionality.vault.keyproviders.env import from_text
from web.forms import audited, said, submit
from web.rows import call

KEYS = from_text(base64.b64encode(bytes(range(32))).decode())
"""Those of the plane (serve.py)."""
HOLDER = uuid7()


@contextmanager
def sealing(plane):
    """A sealer at work on the plane's database."""
    done = Event()

    def work():
        with psycopg.connect(plane.database.dsn("vis_sealer"), autocommit=True) as connection:
            while not done.wait(0.05):
                step(connection, KEYS, HOLDER, utc_now())

    worker = Thread(target=work)
    worker.start()
    try:
        yield
    finally:
        done.set()
        worker.join()


@pytest.fixture
def spending(office):
    """An office with rows of a project, and projects with names that somebody chose badly."""
    database = office.plane.database
    with psycopg.connect(database.dsn("vis_super")) as connection:
        connection.execute(
            "insert into vis.installation (installation_id, master_fingerprint) values (%s, '') on conflict do nothing",
            [uuid7()],
        )
    with database.as_role("vis_web", office.org_id) as connection:
        for key in ("HPC", "<b>SOCE</b>"):
            connection.execute(
                "insert into vis_control.project (id, org_id, key, name, gl_code, created_at)"
                " values (gen_random_uuid(), %s, %s, %s, '', now())",
                [office.org_id, key, key],
            )
    office.write(*[call() for _ in range(3)], call(project_id="<b>SOCE</b>"))
    return office


def pack(office, **fields):
    with sealing(office.plane):
        return submit(office.browser, "/evidence", **({"rows": "none"} | fields))


def made(office, **fields):
    """The path of the page of a pack that is made now."""
    answer = pack(office, **fields)
    assert answer.status == 302, said(answer.text)
    return urlsplit(answer.headers["location"]).path


def test_a_pack_is_made_looked_at_taken_and_checked_without_us(spending, tmp_path):
    path = made(spending, scope="project:HPC", rows="embedded")
    page = said(spending.browser.get(path).text)
    assert "HPC" in page
    assert "3 in the pack" in page
    assert "vis-verify pack.json --key keys.json" in page
    taken = spending.browser.get(f"{path}/pack.json")
    assert taken.headers["content-disposition"].startswith('attachment; filename="pack-')
    keys = spending.browser.get("/evidence/keys.json").text.encode()
    verdict = vis_verify.verify_pack(taken.text.encode(), keys, vis_verify.Asked(project="HPC"))
    assert verdict.exit_code == 0, verdict.lines
    assert verdict.facts["fingerprint"] in page
    assert f"{verdict.facts['fingerprint'][:12]}…" in said(spending.browser.get("/evidence").text)
    (event,) = audited(spending, "evidence_pack_made")
    assert event["fingerprint"] == verdict.facts["fingerprint"]
    assert len(audited(spending, "evidence_pack_taken")) == 1


def test_the_page_says_what_each_control_says_and_what_is_not_shown(spending):
    page = said(spending.browser.get(made(spending, scope="organisation:")).text)
    for words in ("CC6.1", "CC8.1", "not operating", "What it does not show", "Its rows are not in it"):
        assert words in page
    listed = said(spending.browser.get("/evidence").text)
    assert "the whole organisation" in listed
    assert re.search(r"\d not operating", listed)


def test_hostile_names_stay_text(spending):
    page = spending.browser.get(made(spending, scope="project:<b>SOCE</b>")).text
    assert "<b>SOCE" not in page
    assert "&lt;b&gt;SOCE" in page


def test_what_was_chosen_stays_when_a_pack_is_not_made(spending):
    to_come = "/evidence?from=2100-01-01&to=2100-01-02"
    answer = submit(spending.browser, to_come, scope="project:HPC", rows="embedded")
    assert answer.status == 422
    assert "yet to come" in said(answer.text)
    assert '<option value="project:HPC" selected>' in answer.text
    for wrong in (
        {"scope": "project:NOBODY"},
        {"scope": "customer:"},
        {"scope": "organisation:", "rows": "file"},
    ):
        answer = submit(spending.browser, "/evidence", **({"rows": "none"} | wrong))
        assert answer.status == 422
        assert "Select a valid choice" in said(answer.text)
    assert audited(spending, "evidence_pack_made") == []


def test_security_and_operators_make_packs_and_auditors_look_at_them(spending):
    path = made(spending, scope="project:HPC")
    with spending.plane.database.as_role("vis_web", spending.org_id) as connection:
        assert connection.execute("select count(*) from vis.evidence_packs").fetchone() == (1,)
    admitted = {
        role: {tuple(one) for one in spending.plane.tell("admitted", role)}
        for role in ("security", "operator", "auditor", "finance")
    }
    for role, looks, makes in (
        ("security", True, True),
        ("operator", True, True),
        ("auditor", True, False),
        ("finance", False, False),
    ):
        assert (("/evidence", "GET") in admitted[role]) == looks, role
        assert (("/evidence", "POST") in admitted[role]) == makes, role
    assert spending.browser.get(path).status == 200


def test_a_pack_that_is_too_large_to_be_kept_is_shown_without_a_download(office):
    control = {"control": "CC6.1", "title": "t", "status": "satisfied", "population": 1, "passed": 1, "exceptions": 0, "not_operating": []}  # fmt: skip
    summary = {"controls": [control], "limits": ["a limit"], "totals": {}, "has_previous": True}
    row = smallest("evidence_packs", office.org_id, utc_now()) | {
        "summary": json.dumps(summary),
        "rows": "embedded",
    }
    with office.plane.database.as_role("vis_web", office.org_id) as connection:
        insert(connection, "evidence_packs", row)
    page = office.browser.get(f"/evidence/packs/{row['pack_id']}")
    assert "is not kept here" in said(page.text)
    assert "pack.json</a>" not in page.text
    assert office.browser.get(f"/evidence/packs/{row['pack_id']}/pack.json").status == 404


def test_before_there_are_keys_there_is_no_list_of_them(office):
    assert office.browser.get("/evidence/keys.json").status == 404
