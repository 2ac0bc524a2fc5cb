"""The pages of the seats over two ledgers in turns."""

import time
from collections.abc import Sequence
from statistics import median

from bench.growth.product import Product
from bench.pages import PAGES
from bench.peers.peer import CannotRun

TIMES = 7


def in_turns(products: Sequence[Product], paths: Sequence[str] = PAGES) -> list[dict[str, float]]:
    """Of each product the median milliseconds by page, after a first look that does not count."""
    visitors = [product.visitor() for product in products]
    found: list[dict[str, float]] = [{} for _ in products]
    for path in paths:
        took: list[list[float]] = [[] for _ in products]
        for _ in range(TIMES + 1):
            for at, visitor in enumerate(visitors):
                began = time.perf_counter()
                status, _ = visitor.get(path)
                took[at].append((time.perf_counter() - began) * 1000)
                if status != 200:
                    raise CannotRun(f"{path} answered {status}: see {products[at].data_dir}/logs/web.log")
        for at, one in enumerate(took):
            found[at][path] = median(one[1:])
    return found
