"""Heads and the ledger's check as commands, against a running product (promises L3 and S3)."""

import json

import pytest

from commands import vis
from product import running, set_up


@pytest.fixture(scope="module")
def product():
    """One of its own: the rows that other tests write themselves leave gaps, and nothing behind a gap is sealed."""
    with running() as product:
        set_up(product)
        yield product


@pytest.fixture
def sealed(product):
    """The product, once a call of now is sealed."""
    product.run("try", "--prompt", "for the heads")
    rows = product.query("select count(*) from vis.request_logs")[0]["count"]
    product.until(lambda: size(product) >= rows)
    return product


def size(product, log="request_logs"):
    lines = product.run("evidence", "heads", "--json").splitlines()
    return next((one["size"] for one in map(json.loads, lines) if one["log"] == log), 0)


def test_the_check_says_how_many_rows_it_hashed_and_that_all_are_as_sealed(sealed):
    said = sealed.run("ledger", "verify")
    assert "every row is the one that was sealed" in said
    assert "(--head)" in said, "it says what it cannot know without a head that was kept"
    found = json.loads(sealed.run("ledger", "verify", "--full", "--json"))
    assert found["findings"] == []
    assert found["rows"] >= found["sizes"]["request_logs"] > 0
    for words in (["--sample", "10"], ["--since", "2026-01-01"]):
        assert "every row is the one" in sealed.run("ledger", "verify", *words)
    stood = sealed.query("select extent, findings from vis.verifications where extent = 'full'")
    assert stood == [{"extent": "full", "findings": []}]


def test_a_head_that_was_kept_is_held_against_the_ledger(sealed, tmp_path):
    kept = tmp_path / "kept.checkpoint"
    kept.write_text(sealed.run("evidence", "heads", "--log", "request_logs", "--note"))
    assert "1 heads kept elsewhere" in sealed.run("ledger", "verify", "--head", str(kept))
    forged = tmp_path / "forged.checkpoint"
    forged.write_text(kept.read_text().replace("time 1", "time 2"))
    done = sealed.try_run("ledger", "verify", "--head", str(forged))
    assert done.returncode == 1
    assert "signed by no key that this database knows" in done.stdout
    other = tmp_path / "other.checkpoint"
    other.write_text(kept.read_text().replace("/request_logs", "/other_logs"))
    done = sealed.try_run("ledger", "verify", "--head", str(other))
    assert done.returncode == 1
    assert "no log of this organisation" in done.stderr


def test_a_witness_goes_round_and_its_line_comes_back(sealed, tmp_path):
    keys, key, seen, head, cosigned = (
        tmp_path / name for name in ("keys.json", "witness.key", "seen.json", "head.json", "cosigned.note")
    )
    keys.write_text(sealed.run("evidence", "keys"))
    public = sealed_public(sealed, key)
    head.write_text(sealed.run("evidence", "heads", "--log", "request_logs", "--proof-from", "0"))
    witness = ("--keys", str(keys), "--state", str(seen), "--key", str(key))
    run(sealed, "evidence", "witness", str(head), *witness, "-o", str(cosigned))
    said = sealed.run("evidence", "heads", "add-witness", str(cosigned), "--witness", public)
    assert "is witnessed by audit.example.com" in said
    sealed.run("evidence", "heads", "add-witness", str(cosigned), "--witness", public)
    assert "witnessed by audit.example.com" in sealed.run("evidence", "heads")

    before = size(sealed)
    sealed.run("try", "--prompt", "one more")
    sealed.until(lambda: size(sealed) > before)
    head.write_text(sealed.run("evidence", "heads", "--log", "request_logs", "--proof-from", str(before)))
    assert "audit.example.com" in run(sealed, "evidence", "witness", str(head), *witness)

    stranger = sealed_public(sealed, tmp_path / "another.key")
    done = sealed.try_run("evidence", "heads", "add-witness", str(cosigned), "--witness", stranger)
    assert done.returncode == 1
    assert "no signature of audit.example.com that its key verifies" in done.stderr
    cosigned.write_text(cosigned.read_text().replace("time 1", "time 2"))
    done = sealed.try_run("evidence", "heads", "add-witness", str(cosigned), "--witness", public)
    assert "this ledger never signed" in done.stderr


def sealed_public(product, path):
    return run(product, "evidence", "witness-key", "audit.example.com", "-o", str(path)).strip()


def run(product, *words):
    """A command that knows no installation."""
    done = vis(words, product.environment, "", 60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_proof_from_more_leaves_than_there_are_says_what_that_means(sealed):
    done = sealed.try_run("evidence", "heads", "--log", "request_logs", "--proof-from", "1000000")
    assert done.returncode == 1
    assert "an older database was put back" in done.stderr


def test_what_is_asked_for_wrongly_is_a_usage_error(product):
    assert product.try_run("evidence", "heads", "--note").returncode == 2
    assert product.try_run("ledger", "verify", "--full", "--sample", "3").returncode == 2
