import multiprocessing
from concurrent.futures import ThreadPoolExecutor

from visionality.runtime.ids import uuid7


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
