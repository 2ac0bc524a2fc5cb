"""Each stream is cut after every event, as if the connection had ended there: what is billed then must be honest.

What monotone and honest mean stands in usage/README.md, "Cut after every event".
"""

from functools import cache
from itertools import pairwise
from typing import NamedTuple

import pytest

from conformance.bill import billed, expected_nusd
from conformance.wire import STREAMS, Wire, told, without
from visionality.core.row import Row
from visionality.core.usage import OUTPUT, Metered

LABELS = ("tokenizer_estimate", "provider_partial", "provider_final")
"""From the least to the most that is known."""

every_stream = pytest.mark.parametrize("wire", STREAMS, ids=lambda wire: wire.name)


class Cut(NamedTuple):
    """What is known of a call whose stream ended here."""

    metered: Metered
    row: Row

    @property
    def label(self) -> int:
        return LABELS.index(self.metered.source)

    @property
    def yardstick(self) -> int:
        """The units at one rate for all that comes in and five times that for what goes out."""
        counts = self.metered.usage.counts()
        return sum(count * (5 if bucket in OUTPUT else 1) for bucket, count in counts.items())

    @property
    def terms(self) -> tuple[object, ...]:
        """What a price depends on besides the units."""
        return self.label, self.row.model_used, self.metered.tier, self.row.price_state


@cache
def cuts(wire: Wire) -> tuple[Cut, ...]:
    """The reading before the first event, and after each one."""
    reader = wire.reader()
    readings = [reader.metered(wire.document)]
    for event in wire.events():
        reader.feed(event)
        readings.append(reader.metered(wire.document))
    return tuple(Cut(metered, billed(wire, metered)) for metered in readings)


@every_stream
def test_the_events_of_a_stream_are_all_of_it(wire):
    assert b"".join(wire.events()) == wire.answer
    assert wire.events()


@every_stream
def test_what_a_cut_says_does_not_depend_on_having_been_asked_before(wire):
    events = wire.events()
    for number, cut in enumerate(cuts(wire)):
        reader = wire.reader()
        reader.feed(b"".join(events[:number]))
        assert reader.metered(wire.document) == cut.metered


@every_stream
def test_a_label_never_goes_back(wire):
    labels = [cut.label for cut in cuts(wire)]
    assert labels == sorted(labels)
    assert labels[0] == LABELS.index("tokenizer_estimate")


@every_stream
def test_as_long_as_the_label_stands_the_cost_never_falls(wire, record_property):
    counted = len(cuts(wire))
    record_property("conformance", {"vendor": wire.vendor, "dialect": wire.dialect.name, "cuts": counted})
    for earlier, later in pairwise(cuts(wire)):
        if earlier.label == later.label:
            assert later.yardstick >= earlier.yardstick
        if earlier.terms == later.terms:
            assert later.row.cost_nusd >= earlier.row.cost_nusd


@every_stream
def test_a_partial_report_claims_no_more_than_the_whole(wire):
    last = cuts(wire)[-1]
    for cut in cuts(wire):
        if cut.metered.source == "provider_partial":
            assert cut.yardstick <= last.yardstick
            assert cut.row.cost_nusd <= last.row.cost_nusd


@every_stream
def test_a_report_is_final_only_once_it_is_the_whole_one(wire):
    for cut in cuts(wire):
        if cut.metered.source == "provider_final":
            assert told(cut.metered) == without({"dialect"}, wire.expected)
            assert cut.row.cost_nusd == expected_nusd(wire)


@every_stream
def test_no_cut_is_free(wire):
    for cut in cuts(wire):
        assert cut.metered.usage.counts()
        assert (cut.row.price_state, cut.row.cost_nusd > 0) in {("known", True), ("unknown", False)}


@every_stream
def test_drained_to_its_end_event_by_event_it_is_the_whole(wire):
    whole, reader = wire.reader(), wire.reader()
    at_once = whole.feed(wire.answer)
    in_turn = b"".join(map(reader.feed, wire.events()))
    assert reader.metered(wire.document) == whole.metered(wire.document) == cuts(wire)[-1].metered
    assert (reader.complete, in_turn, reader.finish()) == (whole.complete, at_once, whole.finish())
    assert told(cuts(wire)[-1].metered) == without({"dialect"}, wire.expected)
    assert cuts(wire)[-1].row.cost_nusd == expected_nusd(wire)
