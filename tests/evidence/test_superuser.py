"""What a superuser does to the ledger, and what each check says of it: the table of docs/audit/heads.md (promises L3 and S3)."""

from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from evidence.sealed import NOON
from evidence.superuser import cheating
from visionality.core.canonical import leaf_hash
from visionality.core.proven_head import proven
from visionality.core.witness import NotWitnessed, followed, log_keys
from visionality.evidence.heads import consistency_of, newest
from visionality.evidence.kept_heads import of_file
from visionality.evidence.keys import published
from visionality.evidence.rows import COLUMNS
from visionality.evidence.verification import Check
from visionality.jobs.verify import Verifier

MINUTE = timedelta(minutes=1)
NIGHT = NOON + timedelta(hours=14)
TABLE = (Path(__file__).parents[2] / "docs" / "audit" / "heads.md").read_text()


@pytest.fixture(scope="module")
def twenty_minutes(first_installation):
    for minute in range(20):
        at = NOON + minute * MINUTE
        first_installation.write(101, created_at=at)
        first_installation.hold(101, created_at=at)
        first_installation.act()
        first_installation.seal(at)
    return first_installation


@pytest.fixture
def ledger(twenty_minutes):
    with twenty_minutes.copied() as ledger:
        yield ledger


def edits_one_row(ledger):
    with cheating(ledger.database) as cheat:
        cheat.execute("update vis.request_logs set cost_nusd = 1 where wseq = 7")
    return ledger


def deletes_the_last_ten_rows(ledger):
    with cheating(ledger.database) as cheat:
        cheat.execute("delete from vis.request_logs where wseq > 15")
    return ledger


def deletes_one_row_in_the_middle(ledger):
    with cheating(ledger.database) as cheat:
        cheat.execute("delete from vis.request_logs where wseq = 7")
    return ledger


def inserts_a_row_between_others(ledger):
    ledger.insert(ledger.row(7, cost_nusd=5))
    return ledger


def changes_a_seal(ledger):
    with cheating(ledger.database) as cheat:
        cheat.execute(
            "update vis.seals set leaf_hashes = sha256(leaf_hashes) where log = 'request_logs' and seal_no = 7"
        )
    return ledger


def rewrites_everything_with_the_real_key(ledger):
    """A row with its hash, then every seal, run and segment anew by the product's own sealer."""
    (row,) = ledger.query("select * from vis.request_logs where wseq = 7")
    leaf = leaf_hash({name: row[name] for name in COLUMNS["request_logs"]} | {"cost_nusd": 1})
    with cheating(ledger.database) as cheat:
        cheat.execute("update vis.request_logs set cost_nusd = 1, leaf_hash = %s where wseq = 7", [leaf])
        for table in ("seals", "scope_runs", "scope_segments", "scope_open", "seal_cursors"):
            cheat.execute(f"delete from vis.{table}")
    ledger.seal_all(NOON + 20 * MINUTE)
    return ledger


def puts_an_older_database_back(ledger):
    return ledger.backup


ACTS = {
    "edits one row": edits_one_row,
    "deletes the last ten rows": deletes_the_last_ten_rows,
    "deletes one row in the middle": deletes_one_row_in_the_middle,
    "inserts a row between others": inserts_a_row_between_others,
    "changes a seal": changes_a_seal,
    "puts an older database back": puts_an_older_database_back,
    "rewrites rows, hashes and seals, with the real key": rewrites_everything_with_the_real_key,
}


@pytest.mark.parametrize("act", ACTS)
def test_each_check_says_what_it_can_know(ledger, act):
    with ledger.copied() as older:
        for minute in range(20, 25):
            ledger.write(101, created_at=NOON + minute * MINUTE)
            ledger.seal(NOON + minute * MINUTE)
        ledger.backup = older
        kept, keys = head(ledger, 0), list_of_keys(ledger)
        after = ACTS[act](ledger)
        line = f"| {act} | {nightly(after)} | {with_head(after, kept)} | {witness(after, kept, keys)} |"
        assert line in TABLE, line


def test_seals_that_cannot_be_read_at_all_are_a_finding_too(ledger):
    with cheating(ledger.database) as cheat:
        cheat.execute(
            """update vis.seals set cursors = '{"nobody": "x"}', frontier = '\\x00' where seal_no = 3"""
        )
    assert nightly(ledger) != "nothing"


def nightly(ledger):
    """The first finding of each kind that the jobs keep and tell, without a place that keeps heads."""
    verifier = Verifier(ledger.database.dsn, (), lambda: NIGHT)
    told = verifier.look()
    with ledger.database.as_role("vis_web", ledger.org) as connection:
        alerts = connection.execute("select body from vis.alerts where kind = 'evidence'").fetchall()
        findings = connection.execute(
            "select f ->> 'kind', f ->> 'writer_no', f ->> 'number', f ->> 'sentence'"
            " from vis.verifications, jsonb_array_elements(findings) f where extent = 'full'"
        ).fetchall()
    assert told == len(alerts) == len(findings)
    assert {body.splitlines()[0] for (body,) in alerts} == {sentence for *_, sentence in findings}
    assert verifier.look() == 0, "nothing is told twice"
    return said(sorted(tuple(one[:3]) for one in findings))


def with_head(ledger, kept):
    """What `vis ledger verify --head` finds beside that."""
    with psycopg.connect(ledger.database.dsn("vis_auditor"), autocommit=True) as connection:
        check = Check(connection, {ledger.org: "default"})
        (found,) = check.full(of_file(kept.checkpoint.encode(), "kept.checkpoint", ledger.org))
    heads = [one.sentence for one in found.findings if one.kind == "head"]
    words = {"put back": "an older database was put back", "another root": "the log's past was rewritten"}
    return (
        "; ".join(meaning for word, meaning in words.items() if any(word in one for one in heads))
        or "no more"
    )


def witness(ledger, seen, keys):
    """A witness that saw the head from before, shown the newest one now."""
    note = seen.note().checkpoint
    try:
        return (
            f"co-signs {followed(note, [head(ledger, note.size)], keys, NIGHT).note().checkpoint.size} leaves"
        )
    except NotWitnessed as refused:
        return f"refuses: {str(refused).partition(':')[0]}"


def head(ledger, start):
    with ledger.database.as_role("vis_reader", ledger.org) as connection:
        found = newest(connection, ledger.org, "request_logs")
        path = (
            consistency_of(connection, ledger.org, "request_logs", start, found.size)
            if start <= found.size
            else []
        )
        return proven(found.note, start, path)


def list_of_keys(ledger):
    with ledger.database.as_role("vis_reader", ledger.org) as connection:
        return log_keys(published(connection, ledger.org, NIGHT))


def said(findings):
    named = [
        f"{kind}: writer {writer_no}, number {number}" if writer_no else kind
        for kind, writer_no, number in findings
    ]
    return "; ".join(named) or "nothing"
