"""When a key stopped working is the first of what ended it (K7)."""

from datetime import UTC, datetime, timedelta

from visionality.core.access_end import (
    EXPIRED,
    REVOKED,
    WITH_ORGANISATION,
    WITH_PERSON,
    End,
    Held,
    Step,
    end_of,
)

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
LIVE = Held(NOON + 9 * HOUR, None, person_epoch=2, org_epoch=1)


def revoked(hours, kind="person_revoked", epoch=3):
    return Step(NOON + hours * HOUR, kind, "ops", "left", epoch)


def test_a_key_that_nothing_ended_works():
    assert end_of(LIVE, [], [revoked(-1, epoch=2)], [revoked(-1, "all_revoked", 1)], NOON) is None


def test_it_ends_with_its_person_or_its_organisation_when_their_count_passed_its_own():
    assert end_of(LIVE, [], [revoked(-1)], [], NOON) == End(NOON - HOUR, WITH_PERSON, "ops", "left")
    found = end_of(LIVE, [], [revoked(-1)], [revoked(-2, "all_revoked", 2)], NOON)
    assert found == End(NOON - 2 * HOUR, WITH_ORGANISATION, "ops", "left")


def test_the_first_of_two_revocations_of_its_person_counts():
    assert end_of(LIVE, [], [revoked(-1, epoch=4), revoked(-3)], [], NOON) == End(
        NOON - 3 * HOUR, WITH_PERSON, "ops", "left"
    )


def test_its_own_revocation_says_by_whom_where_that_was_recorded():
    key = Held(NOON + HOUR, NOON - HOUR, 1, 1)
    step = Step(NOON - HOUR, "revoked", "ops", "leaked")
    assert end_of(key, [step], [], [], NOON) == End(NOON - HOUR, REVOKED, "ops", "leaked")
    assert end_of(key, [], [], [], NOON) == End(NOON - HOUR, REVOKED)


def test_a_key_that_expired_before_it_was_revoked_ended_by_then():
    key = Held(NOON - 2 * HOUR, NOON - HOUR, 1, 1)
    assert end_of(key, [], [], [], NOON) == End(NOON - 2 * HOUR, EXPIRED)
