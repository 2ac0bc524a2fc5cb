"""An axis that ends on a round number."""

from dataclasses import dataclass

HEIGHT = 1000
"""Units from the bottom of a drawing to its top."""
STEPS = 4
_ROUND = (1, 2, 4, 6, 8, 10, 12, 16, 20, 24, 32, 40, 60, 80)
"""Tops, of a power of ten, whose quarters are round as well."""


@dataclass(frozen=True, slots=True)
class Scale:
    """From 0 to `top`, which is what the highest value is of, in the values' own unit."""

    top: int

    def height(self, value: int) -> int:
        """How far from the bottom a value is; what is below zero lies at the bottom, something is never nothing."""
        return min(HEIGHT, max(1, value * HEIGHT // self.top)) if value > 0 else 0

    @property
    def ticks(self) -> tuple[int, ...]:
        """The values that are written beside it, the highest first; the lowest is 0."""
        return tuple(self.top * step // STEPS for step in range(STEPS, -1, -1))


_NOTHING = Scale(STEPS * 10**9)


def scale_for(highest: int) -> Scale:
    """The smallest round axis that holds this value: 1,234 lies under 1,600, of which a quarter is 400."""
    if highest <= 0:
        return _NOTHING
    power = 1
    while power * 100 <= highest:
        power *= 10
    tops = (power * top for power in (power, power * 10) for top in _ROUND)
    return Scale(next((top for top in tops if top >= max(highest, STEPS) and top % STEPS == 0), STEPS))
