"""A customer's witness (promise S3): what it co-signs, and what it refuses; as a program, without a database."""

import json
import os
from base64 import b64encode
from datetime import timedelta
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from commands import vis
from visionality.core.checkpoint import Checkpoint, note_signed, read_note
from visionality.core.merkle import EMPTY_ROOT, consistency, root
from visionality.core.proven_head import proven, written
from visionality.core.witness import read_key
from visionality.runtime.clock import utc_now

ORIGIN = "0193-installation/0193-organisation/request_logs"
NOW = utc_now()
LEAVES = [sha256(b"\x00row %d" % n).digest() for n in range(40)]
OTHER = [*LEAVES[:9], sha256(b"\x00edited").digest(), *LEAVES[10:]]


class Log:
    """A log with its key, as an installation would publish it."""

    def __init__(self, origin=ORIGIN):
        self.origin = origin
        self.private = Ed25519PrivateKey.generate()

    def note(self, leaves, at=NOW):
        return note_signed(
            Checkpoint(self.origin, len(leaves), root(leaves), int(at.timestamp() * 1000), EMPTY_ROOT),
            self.private,
        )

    def keys(self, **changed):
        public = self.private.public_key().public_bytes_raw()
        key = {
            "active_from": "2026-01-01T00:00:00.000000Z",
            "alg": "Ed25519",
            "fingerprint": sha256(public).hexdigest(),
            "public": b64encode(public).decode(),
            "revoked_at": None,
            "role": "log",
            "verify_until": None,
        } | changed
        return json.dumps({"keys": [key], "type": "visionality verification keys", "v": 1}).encode()


def head(log, leaves, start=0):
    """A line as a place keeps it: the head of these leaves, proven from `start` on."""
    return written(proven(log.note(leaves), start, consistency(leaves, start) if start else []))


@pytest.fixture
def log():
    return Log()


@pytest.fixture
def witness(tmp_path, log):
    """Run the witness on a file's content; what the program ended with."""
    made = run("evidence", "witness-key", "audit.example.com", "-o", str(tmp_path / "key"))
    assert made.returncode == 0, made.stderr
    (tmp_path / "keys.json").write_bytes(log.keys())

    def ran(content, **changed):
        (tmp_path / "head").write_bytes(content)
        if changed:
            (tmp_path / "keys.json").write_bytes(log.keys(**changed))
        words = ("--keys", tmp_path / "keys.json", "--state", tmp_path / "seen", "--key", tmp_path / "key")
        return run("evidence", "witness", str(tmp_path / "head"), *map(str, words))

    ran.public = made.stdout.strip()
    return ran


def run(*words):
    """Nothing of an installation is there for it: no settings, no database."""
    return vis(words, {"PATH": os.environ["PATH"], "VIS_DATA_DIR": "/nonexistent"}, "", 60)


def refused(done, *words):
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("vis: ")
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def test_a_head_that_extends_the_last_one_is_cosigned(witness, log):
    for content, size in (
        (head(log, LEAVES[:12]), 12),
        (head(log, LEAVES[:30], 12), 30),
        (head(log, LEAVES, 30), 40),
    ):
        done = witness(content)
        assert done.returncode == 0, done.stderr
        note = read_note(done.stdout)
        assert note.checkpoint.size == size
        assert [one.name for one in note.witnesses(dict([read_key(witness.public)]))] == ["audit.example.com"]
        assert note.is_by(log.private.public_key().public_bytes_raw())


def test_a_history_is_followed_line_by_line_from_where_the_witness_stood(witness, log):
    history = head(log, LEAVES[:5]) + head(log, LEAVES[:12], 5) + head(log, LEAVES[:13], 12)
    assert witness(history).returncode == 0
    history += head(log, LEAVES[:31], 13) + head(log, LEAVES, 31)
    done = witness(history)
    assert read_note(done.stdout).checkpoint.size == 40


def test_the_head_seen_last_is_cosigned_again(witness, log):
    first, second = witness(head(log, LEAVES[:12])), witness(log.note(LEAVES[:12]).encode())
    assert first.returncode == second.returncode == 0


def test_a_smaller_log_is_refused_as_an_older_database(witness, log):
    assert witness(head(log, LEAVES)).returncode == 0
    refused(witness(head(log, LEAVES[:30])), "SMALLER", "30 leaves", "40 were seen before", "older database")
    assert witness(head(log, LEAVES)).returncode == 0


def test_another_past_under_the_real_key_is_refused_as_a_fork(witness, log):
    assert witness(head(log, LEAVES[:20])).returncode == 0
    refused(witness(head(log, OTHER, 20)), "FORK", "rewritten")
    refused(witness(head(log, OTHER[:20])), "FORK", "at 20 leaves", "another root")
    done = witness(head(log, LEAVES, 20))
    assert done.returncode == 0, "what was refused is not remembered"


def test_a_proof_from_another_place_says_what_to_ask_for(witness, log):
    assert witness(head(log, LEAVES[:20])).returncode == 0
    refused(witness(head(log, LEAVES, 12)), "--proof-from 20")
    refused(witness(log.note(LEAVES).encode()), "--proof-from 20")


def test_another_key_a_revoked_key_and_a_key_of_another_time_sign_nothing(witness, log):
    refused(witness(head(Log(), LEAVES)), "no log key")
    refused(witness(head(log, LEAVES), revoked_at="2026-02-01T00:00:00.000000Z"), "no log key")
    refused(witness(head(log, LEAVES), verify_until="2026-02-01T00:00:00.000000Z"), "no log key")
    later = (NOW + timedelta(days=1)).isoformat(timespec="microseconds").replace("+00:00", "Z")
    refused(witness(head(log, LEAVES), active_from=later), "no log key")
    refused(witness(head(log, LEAVES), role="pack"), "no log key")
    assert witness(head(log, LEAVES), role="log").returncode == 0


def test_a_key_made_in_the_same_millisecond_as_its_first_head_is_believed(witness, log):
    at = NOW.replace(microsecond=123_456)
    content = written(proven(log.note(LEAVES, at), 0, []))
    done = witness(content, active_from=at.isoformat(timespec="microseconds").replace("+00:00", "Z"))
    assert done.returncode == 0, done.stderr


def test_a_head_of_tomorrow_is_refused(witness, log):
    refused(witness(log.note(LEAVES, NOW + timedelta(days=1)).encode()), "later than now")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}\n",
        b'{"checkpoint":"","consistency":[],"from":0}\n',
        b'{"checkpoint":1.5}',
        b"\xff\xfe\n",
        b"{" * 100_000,
        b"a note\n\nnot signed\n",
        b'{"checkpoint":"' + b"x" * 200_000 + b'","consistency":[],"from":0}',
    ],
    ids=["nothing", "no fields", "no note", "a float", "no text", "deep", "a stranger's note", "huge"],
)
def test_what_is_no_head_is_refused_in_a_sentence(witness, content):
    refused(witness(content))


def test_a_damaged_memory_is_no_memory_that_may_be_begun_anew(witness, log, tmp_path):
    assert witness(head(log, LEAVES)).returncode == 0
    (tmp_path / "seen").write_text("{")
    refused(witness(head(log, LEAVES)), "not what a witness remembers")
    (tmp_path / "seen").write_text(json.dumps({ORIGIN: "no note"}))
    refused(witness(head(log, LEAVES)))


def test_each_log_is_remembered_by_itself(witness, log, tmp_path):
    assert witness(head(log, LEAVES)).returncode == 0
    log.origin = ORIGIN.replace("request_logs", "segments")
    assert witness(head(log, LEAVES[:3])).returncode == 0
    assert len(json.loads((tmp_path / "seen").read_text())) == 2


def test_a_file_with_heads_of_two_logs_is_refused(witness, log):
    mixed = head(log, LEAVES[:3])
    log.origin = ORIGIN.replace("request_logs", "segments")
    refused(witness(mixed + head(log, LEAVES, 3)), "the last one seen was of")


def test_a_witness_keeps_its_key_to_itself_and_never_makes_a_second_one_over_it(witness, tmp_path):
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    refused_again = run("evidence", "witness-key", "audit.example.com", "-o", str(tmp_path / "key"))
    assert refused_again.returncode == 1
    assert "there already" in refused_again.stderr
    assert run("evidence", "witness-key", "a name", "-o", str(tmp_path / "other")).returncode == 1
    assert not (tmp_path / "other").exists()
