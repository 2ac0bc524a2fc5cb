"""What a person may ask of a pack, and what is said of one that passes (promises S3, S4)."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from packs import builder, museum
from vis_verify import Asked, verify_envelope, verify_pack
from vis_verify.keys import Key, Keys, read_list
from vis_verify.note import Witness, read_note
from vis_verify.period import days_of

LIST = builder.jcs(builder.key_list())
NOVEMBER = ("2026-11-01", "2026-11-30")
SMALL = builder.make()
BOTH = builder.make(projects=("HPC", "OPS"), kind="customer", name="ACME")


def judged(made=SMALL, **asked):
    return verify_pack(made.envelope(), LIST, Asked(**asked))


def test_a_pack_that_passes_says_what_was_found_and_what_was_not_checked():
    verdict = judged()
    text = "\n".join(verdict.lines)
    assert verdict.exit_code == 0
    assert verdict.lines[0].startswith("VERIFIED")
    for said in (
        verdict.facts["fingerprint"],
        "ArcTrade (arctrade, 0198a0c0-0000-7000-8000-0000000000bb)",
        "2026-11-01 to 2026-11-30",
        builder.fingerprint(builder.PACK),
        builder.fingerprint(builder.LOG),
        "4 checked; 3 of the period",
        "total USD     cost 1.8224995, billed 1.8224993, 3 rows",
        "CC8.1     satisfied      3 of 3 passed, 0 exceptions",
        "self-attested",
        "NOT checked",
        "that every call went through the gateway",
        "(the pack says) It shows nothing of calls that did not go through the gateway.",
    ):
        assert said in text


def test_the_same_pack_gets_the_same_verdict_to_the_byte():
    assert judged().lines == judged().lines
    assert json.dumps(judged().facts, sort_keys=True) == json.dumps(judged().facts, sort_keys=True)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"org": "arctrade"}, 0),
        ({"org": "ArcTrade"}, 0),
        ({"org": builder.ORG["id"]}, 0),
        ({"org": "ARCTRADE"}, 60),
        ({"project": "HPC"}, 0),
        ({"project": "OPS"}, 60),
        ({"customer": "HPC"}, 60),
        ({"days": NOVEMBER}, 0),
        ({"days": ("2026-11-01", "2026-11-29")}, 60),
        ({"fresh_within_days": 9, "now": datetime(2026, 12, 11, tzinfo=UTC)}, 0),
        ({"fresh_within_days": 8, "now": datetime(2026, 12, 11, tzinfo=UTC)}, 61),
        ({"fresh_within_days": 8, "now": datetime(2026, 12, 2, 8, tzinfo=UTC)}, 61),
        ({"fingerprint": "00" * 32}, 30),
        ({"require_satisfied": True}, 0),
    ],
)
def test_what_is_asked_is_checked(asked, code):
    assert judged(**asked).exit_code == code


def test_a_customer_is_asked_for_by_name():
    assert judged(BOTH, customer="ACME").exit_code == 0
    assert judged(BOTH, project="HPC").exit_code == 60


def test_what_was_asked_is_no_longer_listed_as_not_checked():
    asked = {
        "org": "arctrade",
        "project": "HPC",
        "days": NOVEMBER,
        "fingerprint": judged().facts["fingerprint"],
        "fresh_within_days": 9,
        "now": datetime(2026, 12, 11, tzinfo=UTC),
    }
    left = set(judged().facts["not_checked"]) - set(judged(**asked).facts["not_checked"])
    assert len(left) == 5


def test_a_witness_is_named_only_when_its_signature_covers_this_head():
    made = museum.honest()
    witness = Witness("customer.example/witness", builder.public(builder.WITNESS))
    assert judged(made, witnesses=(witness,)).exit_code == 43
    made.predicate["ledger"]["checkpoint"] = builder.cosigned(made.predicate["ledger"]["checkpoint"])
    assert judged(made, witnesses=(witness,)).facts["attestation"] == "witnessed by customer.example/witness"
    assert judged(made).facts["attestation"] == "self-attested", "what was not asked about was not checked"
    other = Witness("auditor.example/witness", builder.public(builder.STRANGER))
    assert judged(made, witnesses=(witness, other)).exit_code == 43, "all of them must have signed"


def test_a_head_that_was_kept_is_held_against_the_pack():
    made = builder.make(previous=2)
    kept = read_note(made.predicate["ledger"]["previous"]["checkpoint"])
    assert judged(made, previous=kept).exit_code == 0
    assert judged(made, previous=read_note(made.predicate["ledger"]["checkpoint"])).exit_code == 0, (
        "the same head"
    )
    between = read_note(builder.note(made.origin, made.leaves[:3], 1_793_600_000_000))
    assert judged(made, previous=between).exit_code == 41
    anew = read_note(builder.note(made.origin, [builder.leaf(b"x"), builder.leaf(b"y")], 1_793_600_000_000))
    assert "made anew" in judged(made, previous=anew).sentence
    foreign = read_note(builder.note("x/y/segments", made.leaves[:2], 1_793_600_000_000))
    assert judged(made, previous=foreign).exit_code == 41


def test_rows_apart_are_read_line_by_line_and_count_as_much(tmp_path):
    made = builder.make(projects=("HPC", "OPS"), rows="apart", kind="customer", name="ACME")
    ledger = builder.small_ledger()
    rows = [
        one
        for project in ("HPC", "OPS")
        for head, (_, ones) in zip(builder.headers(project, ledger[project]), ledger[project], strict=True)
        for one in ones
        if builder.within(head)
    ]
    file = tmp_path / "rows.jsonl"
    file.write_bytes(builder.by_reference(made, rows))
    verdict = judged(made, rows=file)
    assert verdict.exit_code == 0, verdict.sentence
    assert verdict.facts["totals"] == judged(BOTH).facts["totals"]
    assert judged(made).exit_code == 2
    assert judged(made, rows=tmp_path / "nowhere").exit_code == 2
    content = file.read_bytes()
    lines = content.splitlines(keepends=True)
    for wrong, code in (
        (b"".join(reversed(lines)), 50),
        (content + lines[0], 50),
        (content[:-1], 10),
        (content[: len(content) // 2], 10),
        (content.replace(b'{"', b'{ "', 1), 31),
        (content.replace(b'"attempt":1', b'"attempt":1.0', 1), 10),
        (content.replace(b'"attempt":1,', b'"attempt":1,"attempt":1,', 1), 10),
        (content + b"\n", 50),
        (b"", 50),
        (b"\xff\n", 10),
        (b"[" * 100_000 + b"\n", 10),
    ):
        file.write_bytes(wrong)
        assert judged(made, rows=file).exit_code == code, wrong[:80]


def test_without_rows_the_segments_still_have_to_add_up_and_the_rest_is_said():
    verdict = judged(museum.honest(rows="none"))
    assert verdict.exit_code == 0
    assert "the rows, which the pack does not carry" in verdict.facts["not_checked"]
    edge = judged(builder.make(rows="none"))
    assert (
        "the totals: a segment lies across an edge of the period, and its rows are not here"
        in edge.facts["not_checked"]
    )


def test_a_pack_of_a_month_that_is_not_over_reaches_to_when_it_was_made():
    ledger = museum.ledger()
    ledger["HPC"] = [("2026-11-21T05:00:05.000000Z", ledger["HPC"][0][1])]
    for made_at, code in (("2026-11-21T06:00:00.000000Z", 0), ("2026-11-21T06:00:05.000001Z", 50)):
        made = builder.make(ledger)
        made.predicate["generated_at"] = made_at
        assert judged(made).exit_code == code


def test_a_project_that_never_had_a_row_has_an_empty_segment():
    made = builder.make({"HPC": [("2026-12-01T05:00:05.000000Z", [])]})
    verdict = judged(made)
    assert verdict.exit_code == 0, verdict.sentence
    assert "total         nothing in the period" in verdict.lines


def test_rows_without_a_project_and_other_currencies_are_counted():
    ledger = {
        "-": [
            (
                "2026-12-01T05:00:05.000000Z",
                [
                    builder.row("-", 1, "2026-11-20T12:00:00.000000Z", currency="EUR"),
                    builder.row("-", 2, "2026-11-20T12:00:00.000000Z", -1),
                ],
            )
        ]
    }
    verdict = judged(builder.make(ledger, ("-",), kind="organisation", name="ArcTrade"))
    assert verdict.exit_code == 0, verdict.sentence
    assert sorted(verdict.facts["totals"]) == ["EUR", "USD"]
    assert verdict.facts["totals"]["USD"]["cost"] == "-0.000000001"


def test_the_period_is_found_even_when_another_text_looks_like_it():
    """The look at the end of the payload is a guess; what stands in the statement decides."""
    made = museum.honest()
    made.predicate["mappings"] = {
        "aperiod": 1,
        "period": {**builder.PERIOD, "starts_at": "2020-01-01T00:00:00.000000Z"},
    }
    assert judged(made).exit_code == 0


def test_bare_keys_do_and_say_that_they_name_nobody():
    keys = Keys((Key("pack", builder.public(builder.PACK)), Key("log", builder.public(builder.LOG))))
    verdict = verify_pack(SMALL.envelope(), keys)
    assert verdict.exit_code == 0
    assert "whose the keys are: bare keys name no organisation" in verdict.facts["not_checked"]
    only_pack = Keys((Key("pack", builder.public(builder.PACK)),))
    assert verify_pack(SMALL.envelope(), only_pack).exit_code == 21


@pytest.mark.parametrize("which", [0, 1])
def test_a_key_that_is_revoked_or_over_signs_nothing_the_log_key_too(which):
    for changes in (
        {"revoked_at": "2027-01-01T00:00:00.000000Z"},
        {"verify_until": "2026-11-01T00:00:00.000000Z"},
        {"active_from": "2026-12-31T00:00:00.000000Z"},
    ):
        listed = builder.key_list()
        listed["keys"][which].update(changes)
        assert verify_pack(SMALL.envelope(), builder.jcs(listed)).exit_code == 22
    listed["keys"][which].update(
        active_from="2026-01-01T00:00:00.000000Z", verify_until="2027-01-01T00:00:00.000000Z"
    )
    assert verify_pack(SMALL.envelope(), builder.jcs(listed)).exit_code == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda it: it.update(v=2),
        lambda it: it.update(type="keys"),
        lambda it: it.update(more=1),
        lambda it: it.update(keys=[]),
        lambda it: it["keys"].append(it["keys"][0]),
        lambda it: it["keys"][0].update(alg="HS256"),
        lambda it: it["keys"][0].update(role="root"),
        lambda it: it["keys"][0].update(fingerprint="ab" * 32),
        lambda it: it["keys"][0].update(public="AQ=="),
        lambda it: it["keys"][0].update(public="AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        lambda it: it["keys"][0].update(active_from="2026-01-01"),
        lambda it: it["keys"][0].update(active_from=None),
        lambda it: it["org"].update(id=1),
    ],
)
def test_a_list_of_keys_that_is_not_one_is_a_mistake_of_who_gave_it(change):
    listed = builder.key_list()
    change(listed)
    assert verify_pack(SMALL.envelope(), json.dumps(listed).encode()).exit_code == 2


def test_a_list_of_keys_may_be_laid_out():
    assert read_list(json.dumps(builder.key_list(), indent=2) + "\n").org == builder.ORG


def test_what_nobody_foresaw_is_a_fault_of_the_verifier_and_never_a_pass(monkeypatch):
    monkeypatch.setattr("vis_verify.pack.must_match", lambda *_: 1 / 0)
    verdict = judged()
    assert (verdict.exit_code, "ZeroDivisionError" in verdict.sentence) == (3, True)


def test_a_file_that_changes_while_it_is_read_is_refused(monkeypatch):
    from vis_verify.envelope import Envelope  # noqa: PLC0415

    real, calls = Envelope.payload, []

    def payload(self):
        calls.append(1)
        for piece in real(self):
            yield piece if len(calls) == 1 else piece.replace(b"CC6.1", b"CC6.9")

    monkeypatch.setattr(Envelope, "payload", payload)
    assert judged().exit_code == 30


def test_a_file_is_never_larger_than_two_gigabytes(tmp_path):
    sparse = tmp_path / "huge.json"
    for size in (2**30, 2**31 + 1):
        with sparse.open("wb") as file:
            file.write(b'{"payload":"')
            file.truncate(size)
        assert verify_envelope(sparse, LIST).exit_code == 10
    assert verify_envelope(tmp_path / "nowhere", LIST).exit_code == 10
    assert verify_envelope(Path("/dev/null"), LIST).exit_code == 10


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("2026-11", NOVEMBER),
        ("2028-02", ("2028-02-01", "2028-02-29")),
        ("2026-11-01..2026-11-30", NOVEMBER),
        ("2026-11-05..2026-11-05", ("2026-11-05", "2026-11-05")),
    ],
)
def test_a_period_is_said_as_a_month_or_as_days(text, days):
    assert days_of(text) == days


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026",
        "2026-13",
        "2026-11-01",
        "2026-11-31..2026-12-01",
        "2026-12-01..2026-11-01",
        "..",
        "٢٠٢٦-11",
    ],
)
def test_a_period_that_is_none_is_said_to_be(text):
    with pytest.raises(ValueError):
        days_of(text)


def test_an_old_pack_passes_as_long_as_nothing_else_was_asked():
    later = datetime(2031, 1, 1, tzinfo=UTC)
    assert judged(now=later).exit_code == 0
    assert judged(now=later, fresh_within_days=int(timedelta(days=30).days)).exit_code == 61


def test_the_organisation_is_no_witness_of_its_own(tmp_path):
    made = museum.honest()
    made.predicate["ledger"]["checkpoint"] = builder.cosigned(
        made.predicate["ledger"]["checkpoint"], "us", builder.LOG
    )
    assert judged(made, witnesses=(Witness("us", builder.public(builder.LOG)),)).exit_code == 2


def test_a_time_at_the_edge_of_the_calendar_is_no_fault_of_ours():
    for edge in ("0001-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z", "0000-01-01T00:00:00.000000Z"):
        made = museum.honest()
        made.predicate["generated_at"] = edge
        assert verify_pack(made.envelope(), Keys(read_list(LIST.decode()).keys)).exit_code in {0, 10, 22, 50}
        for name in ("starts_at", "ends_at"):
            made = museum.honest()
            made.predicate["period"][name] = edge
            assert judged(made).exit_code in {10, 60}


def test_an_organisation_has_rows_without_a_project_in_its_scope():
    made = builder.make(projects=("HPC", "OPS"), kind="organisation", name="ArcTrade")
    assert judged(made).exit_code == 60
