"""What a batch sends: the leaf of an event is that of its columns."""

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict

from visionality.core.canonical import leaf_hash
from visionality.core.row import COLUMNS, Row
from visionality.ledger.batch import TAKES, Hold, Numbers, Work, compose
from visionality.runtime.ids import uuid7

EVENT = (
    *("org_id", "created_at", "id", "writer_no", "wseq", "kind", "hold_id", "request_id"),
    *("windows", "amount_nusd", "actual_nusd", "actor"),
)
NOW = datetime(2026, 10, 5, 12, 30, tzinfo=UTC)
money = st.integers(0, 2**63 - 1)
moments = st.just(NOW) | st.datetimes(timezones=st.just(UTC))


def composed(now: datetime, amount_nusd: int, cost_nusd: int):
    row = Row(org_id=uuid7(), request_id=uuid7(), provider="sandbox", dialect="messages", cost_nusd=cost_nusd)
    row.usage, row.tags = {"out_text": 2, "in_text": 1}, {"a": "ü"}
    hold = Hold(row.org_id, uuid7(), row.request_id, amount_nusd, now)
    works = [Work(None, make=hold), Work(None, take=hold, row=row), Work(None, take=hold, taken_as="release")]
    return row, hold, compose(works, Numbers(3, 40, 70), now)


@settings(max_examples=50, derandomize=True, deadline=None)
@given(moments, money, money)
def test_the_leaf_of_an_event_is_that_of_its_columns(now, amount_nusd, cost_nusd):
    _, hold, batch = composed(now, amount_nusd, cost_nusd)
    sent, at = batch.arguments()[0], batch.arguments()[3]
    said_once = {"created_at": at, "windows": []}
    events = [dict(zip(EVENT, record, strict=False)) | said_once for record in sent]
    assert at == now
    assert [record[1] for record in sent] == [record[8] for record in sent] == [None, None, None]
    assert [record[12] for record in sent] == [leaf_hash(event) for event in events]
    assert [record[13] for record in sent] == [1, TAKES, TAKES]
    assert [
        (event["wseq"], event["kind"], event["amount_nusd"], event["actual_nusd"]) for event in events
    ] == [
        (71, "reserve", amount_nusd, None),
        (72, "settle", amount_nusd, cost_nusd),
        (73, "release", amount_nusd, None),
    ]
    assert {(event["hold_id"], event["request_id"]) for event in events} == {(hold.hold_id, hold.request_id)}


def test_a_row_is_sent_in_the_table_s_order_with_its_objects_as_text_and_its_leaf_last():
    row, _, batch = composed(NOW, 5, 3)
    (record,) = batch.arguments()[2]
    sent = dict(zip(COLUMNS, record, strict=False))
    assert sent == asdict(row) | {"usage": '{"in_text":1,"out_text":2}', "tags": '{"a":"ü"}'}
    assert (sent["writer_no"], sent["wseq"], record[-1]) == (3, 41, leaf_hash(asdict(row)))
