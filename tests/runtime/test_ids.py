import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from visionality.runtime.clock import utc_now
from visionality.runtime.ids import made_at, uuid7


def test_an_id_is_a_version_7_uuid_of_its_moment():
    first, second = uuid7(), uuid7()
    assert (first.version, first.variant) == (7, "specified in RFC 4122")
    assert second.int >> 80 >= first.int >> 80


def test_ids_do_not_repeat_not_even_across_a_fork():
    context = multiprocessing.get_context("fork")
    with context.Pool(2) as pool:
        forked = pool.map(_some, [2000, 2000])
    ids = [*_some(2000), *forked[0], *forked[1]]
    assert len(set(ids)) == len(ids)


def _some(count: int) -> list[str]:
    return [str(uuid7()) for _ in range(count)]


def test_threads_may_make_ids_at_the_same_time():
    with ThreadPoolExecutor(8) as pool:
        made = [one for some in pool.map(_some, [5000] * 16) for one in some]
    assert len(set(made)) == 80_000


def test_an_id_says_when_it_was_made_unless_no_calendar_has_that_time():
    before = utc_now()
    assert abs(made_at(uuid7()) - before) < timedelta(minutes=1)
    assert made_at(UUID(int=0x7 << 76 | 0b10 << 62)) == datetime(1970, 1, 1, tzinfo=UTC)
    assert made_at(UUID("ffffffff-ffff-7fff-bfff-ffffffffffff")) is None
    assert made_at(UUID("e6707a6e-b000-7000-8000-000000000000")) is None
    assert made_at(UUID("e6707a6e-afff-7000-8000-000000000000")).year == 9998
    assert made_at(uuid4()) is None
