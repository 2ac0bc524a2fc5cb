"""The pages of the seats over two ledgers in turns."""

import time
from collections.abc import Sequence
from math import inf
from statistics import median

from bench.growth.product import Product
from bench.pages import PAGES, Visitor
from bench.peers.peer import CannotRun

TIMES = 7
LONG = 3.0
"""Seconds after which a page is not looked at a second time."""
GIVES_UP_AFTER = 20.0
"""Seconds after which a page counts as one that does not come."""


def in_turns(products: Sequence[Product], paths: Sequence[str] = PAGES) -> list[dict[str, float]]:
    """Of each product the median milliseconds by page, after a first look that does not count; infinite for one that does not come."""
    found: list[dict[str, float]] = [{} for _ in products]
    visitors = [product.visitor(GIVES_UP_AFTER) for product in products]
    for path in paths:
        took: list[list[float]] = [[] for _ in products]
        for turn in range(TIMES + 1):
            for at, product in enumerate(products):
                if turn == 0 or took[at][0] < LONG * 1000:
                    took[at].append(_took_ms(visitors[at], product, path))
                    if took[at][-1] == inf:
                        visitors[at] = product.visitor(GIVES_UP_AFTER)
        for at, one in enumerate(took):
            found[at][path] = median(one[1:] or one)
    return found


def _took_ms(visitor: Visitor, product: Product, path: str) -> float:
    began = time.perf_counter()
    try:
        status, _ = visitor.get(path)
    except OSError:
        return inf
    if status != 200:
        raise CannotRun(f"{path} answered {status}: see {product.data_dir}/logs/web.log")
    return (time.perf_counter() - began) * 1000
