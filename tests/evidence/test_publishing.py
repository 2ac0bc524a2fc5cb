"""Heads leave the house (promise S3): to a directory, to a bucket with Object Lock, by mail; and what they say of a restored backup."""

from datetime import timedelta
from email import message_from_bytes

import boto3
import pytest
from moto.server import ThreadedMotoServer

from evidence.sealed import NOON
from evidence.superuser import cheating
from jobs.test_burn import mail_server
from visionality.core.checkpoint import read_note
from visionality.core.proven_head import read_all
from visionality.evidence.heads import newest
from visionality.evidence.places._core import NotKept
from visionality.evidence.places.bucket import Bucket
from visionality.evidence.places.directory import Directory
from visionality.evidence.publishing import check_kept, kept_of
from visionality.jobs.deliver import Mail
from visionality.jobs.publish import Publisher

MINUTE = timedelta(minutes=1)


@pytest.fixture
def ledger(installation):
    grow(installation, 0)
    return installation


def grow(installation, minute):
    """Some rows, sealed at a minute."""
    at = NOON + minute * MINUTE
    installation.write(101, created_at=at)
    installation.hold(101, created_at=at)
    installation.act()
    installation.seal(at)


class Publishing:
    """The publisher of an installation, and a clock that is set by hand."""

    def __init__(self, installation, places, mailboxes=(), mail=None):
        self.now = NOON
        self.installation = installation
        dsn = installation.database.dsn("vis_jobs")
        self.publisher = Publisher(dsn, places, frozenset(mailboxes), mail, lambda: self.now)

    def look(self, minute=0):
        self.now = NOON + minute * MINUTE
        return self.publisher.look()

    def origin(self, log="request_logs"):
        (row,) = self.installation.query("select installation_id from vis.installation")
        return f"{row['installation_id']}/{self.installation.org}/{log}"

    def alerts(self):
        with self.installation.database.as_role("vis_web", self.installation.org) as connection:
            return connection.execute(
                "select title, body from vis.alerts where kind = 'heads' order by created_at"
            ).fetchall()

    def kept(self):
        with self.installation.database.as_role("vis_reader", self.installation.org) as connection:
            return {(one.place, one.log): one for one in kept_of(connection, self.installation.org)}


def test_a_directory_gets_the_newest_note_and_a_history_that_proves_itself(ledger, tmp_path):
    shelf = tmp_path / "heads"
    shelf.mkdir()
    publishing = Publishing(ledger, [Directory(shelf)])
    for minute in range(4):
        assert publishing.look(minute) == 0
        publishing.look(minute)
        grow(ledger, minute + 1)
    publishing.look(5)
    history = read_all((shelf / f"{publishing.origin()}-2026-11.heads").read_bytes())
    assert [one.note().checkpoint.size for one in history] == [1, 2, 3, 4, 5]
    assert [one.start for one in history] == [0, 1, 2, 3, 4]
    latest = (shelf / f"{publishing.origin()}.checkpoint").read_text()
    assert latest == history[-1].checkpoint
    assert publishing.kept()[str(shelf), "request_logs"].size == 5
    assert {log for _, log in publishing.kept()} == {"request_logs", "budget_events", "admin_events"}
    assert not list(shelf.rglob("*.new"))
    assert publishing.alerts() == []


def test_a_line_that_a_crash_cut_off_is_written_anew(ledger, tmp_path):
    publishing = Publishing(ledger, [Directory(tmp_path)])
    publishing.look()
    path = tmp_path / f"{publishing.origin()}-2026-11.heads"
    whole = path.read_bytes()
    grow(ledger, 1)
    with path.open("ab") as file:
        file.write(b'{"checkpoint":"cut off')
    publishing.look(1)
    history = read_all(path.read_bytes())
    assert path.read_bytes().startswith(whole)
    assert [(one.start, one.note().checkpoint.size) for one in history] == [(0, 1), (1, 2)]


def test_a_directory_that_is_away_is_an_alert_once_and_stops_nothing(ledger, tmp_path):
    away, there = tmp_path / "away", tmp_path / "there"
    there.mkdir()
    publishing = Publishing(ledger, [Directory(away), Directory(there)])
    assert publishing.look() == 1
    assert publishing.look(1) == 0
    assert publishing.kept()[str(there), "request_logs"].size == 1
    failed = publishing.kept()[str(away), "request_logs"]
    assert "is no directory" in failed.error
    assert failed.failed_since == NOON
    away.mkdir()
    assert publishing.look(2) == 0
    assert publishing.kept()[str(away), "request_logs"].error is None
    away.rename(tmp_path / "moved")
    grow(ledger, 3)
    assert publishing.look(3) == 1, "a new time that it fails is a new alert"
    assert [title for title, _ in publishing.alerts()] == [f"Heads do not reach {away}"] * 2


def test_an_older_database_that_was_put_back_contradicts_the_kept_head(ledger, tmp_path):
    publishing = Publishing(ledger, [Directory(tmp_path)])
    publishing.look()
    with ledger.copied() as again:
        for minute in range(1, 4):
            grow(ledger, minute)
        publishing.look(4)
        before = (tmp_path / f"{publishing.origin()}-2026-11.heads").read_bytes()
        after = Publishing(again, [Directory(tmp_path)])
        assert after.look(5) == 1
        grow(again, 6)
        assert after.look(6) == 0
        ((title, body),) = after.alerts()
        assert title == f"{tmp_path} keeps a head that this ledger contradicts"
        assert "an older database was put back" in body
        for minute in range(7, 12):
            grow(again, minute)
        after.look(12)
        assert after.kept()[str(tmp_path), "request_logs"].contradicts
        assert "another root" in after.kept()[str(tmp_path), "request_logs"].error
        assert (tmp_path / f"{publishing.origin()}-2026-11.heads").read_bytes() == before


def test_rows_removed_with_their_seals_contradict_the_kept_head(ledger, tmp_path):
    for minute in range(1, 4):
        grow(ledger, minute)
    publishing = Publishing(ledger, [Directory(tmp_path)])
    publishing.look()
    with cheating(ledger.database) as cheat:
        cheat.execute("delete from vis.seals where log = 'request_logs' and seal_no > 2")
    assert publishing.look(6) == 1
    assert "sealed rows were removed with their seals" in publishing.alerts()[0][1]


# ---------------------------------------------------------------- bucket


@pytest.fixture(scope="module")
def s3():
    """moto's server."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3, monkeypatch):
    """Make a bucket; its client."""
    for name, value in {
        "ACCESS_KEY_ID": "test",
        "SECRET_ACCESS_KEY": "test",
        "REGION": "eu-central-1",
    }.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    client = boto3.Session().client("s3", endpoint_url=s3, region_name="eu-central-1")

    def made(name, days=None, *, lock=True):
        client.create_bucket(
            Bucket=name,
            ObjectLockEnabledForBucket=lock,
            CreateBucketConfiguration={"LocationConstraint": "eu-central-1"},
        )
        if days:
            rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": days}}
            client.put_object_lock_configuration(
                Bucket=name, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
            )
        return client, f"s3://{name}/vis?region=eu-central-1&endpoint={s3}"

    yield made
    client.close()


def test_a_bucket_keeps_each_head_under_its_lock(ledger, bucket):
    client, address = bucket("kept-heads", 30)
    publishing = Publishing(ledger, [Bucket(address)])
    for minute in range(3):
        assert publishing.look(minute) == 0, publishing.alerts()
        grow(ledger, minute + 1)
    listed = client.list_objects_v2(Bucket="kept-heads", Prefix=f"vis/{publishing.origin()}/")["Contents"]
    assert [one["Key"].rpartition("/")[2] for one in listed] == [f"{n:016d}.heads" for n in (1, 2, 3)]
    held = client.get_object(Bucket="kept-heads", Key=listed[1]["Key"])
    with held["Body"] as body:
        (head,) = read_all(body.read())
    assert (head.start, head.note().checkpoint.size) == (1, 2)
    assert held["ObjectLockMode"] == "COMPLIANCE"
    fresh = Publishing(ledger, [Bucket(address)])
    assert fresh.look(5) == 0
    listed = client.list_objects_v2(Bucket="kept-heads", Prefix=f"vis/{publishing.origin()}/")["Contents"]
    assert len(listed) == 4, "a process that begins anew goes on from what is there"


@pytest.mark.parametrize(("name", "lock"), [("no-lock", False), ("no-retention", True)])
def test_a_bucket_that_locks_nothing_is_refused(ledger, bucket, name, lock):
    _, address = bucket(name, lock=lock)
    publishing = Publishing(ledger, [Bucket(address)])
    assert publishing.look() == 1
    assert "no Object Lock with a default retention" in publishing.kept()[address, "request_logs"].error


def test_a_bucket_that_is_not_there_is_told_in_a_sentence(ledger, bucket, s3):
    bucket("is-there", 1)
    address = f"s3://is-not-there/x?region=eu-central-1&endpoint={s3}"
    publishing = Publishing(ledger, [Bucket(address)])
    assert publishing.look() == 1
    assert "NoSuchBucket" in publishing.kept()[address, "request_logs"].error


def test_a_bucket_tells_a_restored_backup_too(ledger, bucket):
    _, address = bucket("told-heads", 30)
    with ledger.copied() as again:
        grow(ledger, 1)
        Publishing(ledger, [Bucket(address)]).look(1)
        after = Publishing(again, [Bucket(address)])
        assert after.look(2) == 1
        assert "older database" in after.alerts()[0][1]


@pytest.mark.parametrize(
    "address",
    [
        "s3://",
        "s3://UPPER",
        "s3://bucket?key=x",
        "s3://bucket/a b",
        "s3://bucket?endpoint=http://other.example",
        "http://b",
    ],
)
def test_what_is_no_bucket_is_refused_at_the_start(address):
    with pytest.raises(NotKept, match="expected s3://"):
        Bucket(address)


# ---------------------------------------------------------------- mail


def test_a_mailbox_gets_the_heads_once_a_day(ledger):
    with mail_server() as (inbox, url):
        publishing = Publishing(ledger, [], ["audit@example.com"], Mail(url, "vis@example.com"))
        assert [publishing.look(minute) for minute in (0, 1, 60)] == [0, 0, 0]
        grow(ledger, 61)
        publishing.look(24 * 60)
        mails = [message_from_bytes(one.content) for one in inbox.mails]
    assert len(mails) == 2
    assert mails[0]["subject"] == "Heads of the ledger of default, 10 November 2026"
    attached = {
        one.get_filename(): one.get_payload(decode=True) for one in mails[1].walk() if one.get_filename()
    }
    logs = ("request_logs", "budget_events", "admin_events")
    assert set(attached) == {f"{log}.checkpoint" for log in logs}
    note = read_note(attached["request_logs.checkpoint"].decode())
    with ledger.database.as_role("vis_reader", ledger.org) as connection:
        head = newest(connection, ledger.org, "request_logs")
        assert note.checkpoint.root == head.root
        assert check_kept(connection, ledger.org, "request_logs", note.checkpoint, head) == []


def test_without_a_mail_server_that_is_an_alert_and_the_mail_waits(ledger):
    publishing = Publishing(ledger, [], ["audit@example.com"])
    assert publishing.look() == 1
    assert publishing.look(1) == 0
    assert "VIS_SMTP_URL" in publishing.alerts()[0][1]
