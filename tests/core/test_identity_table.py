"""The identity table as a CSV file (A4): read whole or refused whole, every mistake with its line."""

import csv
import io
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionality.core.identity_table import COLUMNS, LARGEST, BadTable, Identity, read_table

HEADER = ",".join(COLUMNS)


def mistakes(content: str | bytes) -> list[tuple[int, str]]:
    with pytest.raises(BadTable) as refused:
        read_table(content.encode() if isinstance(content, str) else content)
    return [(mistake.line, mistake.words) for mistake in refused.value.mistakes]


def test_a_file_says_whose_each_agent_is():
    text = "\ufeffowner,agent_sub,team,gl_code,sso_sub,cost_center\r\nAlice K., alice@arctrade ,desk,,00u1,CC-1\r\n\r\nBob,b,,6100,,\r\n"
    assert read_table(text.encode()) == [
        (2, Identity("alice@arctrade", "Alice K.", "00u1", "desk", "CC-1", "")),
        (4, Identity("b", "Bob", "", "", "", "6100")),
    ]


def test_every_mistake_of_a_file_is_told_with_its_line():
    found = mistakes(
        f'{HEADER}\na b,,x y,desk tools,,\n"alice","Alice\nK.",,,,\nbob,Bob,,,\ncarol,Carol,,,,\ncarol,Carol,,,,\n'
        f"dan,Dan,,,{'x' * 81},\a\n"
    )
    expected = [
        (2, "agent_sub 'a b'"),
        (2, "owner ''"),
        (2, "sso_sub 'x y'"),
        (2, "team 'desk tools'"),
        (3, "owner 'Alice\\nK.'"),
        (5, "5 cells: expected 6"),
        (7, "carol stands twice: first in line 6"),
        (8, "cost_center 'xxx"),
        (8, "gl_code '\\x07'"),
    ]
    assert [line for line, _ in found] == [line for line, _ in expected]
    for (_, told), (_, part) in zip(found, expected, strict=True):
        assert part in told


@pytest.mark.parametrize(
    ("content", "line", "told"),
    [
        ("", 1, "the header is ''"),
        ("agent_sub,owner\nalice,Alice", 1, "expected agent_sub,owner,sso_sub,team,cost_center,gl_code"),
        (HEADER.replace(",", ";"), 1, "the header is"),
        (HEADER + ",colour", 1, "the header is"),
        (HEADER + ",team", 1, "the header is"),
        (HEADER + '\n"alice"x,Alice,,,,', 2, "this is no CSV"),
        (HEADER + '\nalice,"Alice,,,,', 2, "this is no CSV"),
        (HEADER.encode() + b"\nalice,\xff,,,,", 2, "this is no UTF-8"),
        (b"x" * (LARGEST + 1), 1, "at most"),
    ],
)
def test_what_is_no_table_is_refused_with_its_line(content, line, told):
    ((at, words),) = mistakes(content)
    assert at == line
    assert told in words


codes = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), max_size=20)
subs = st.from_regex(r"[a-z][a-z0-9@._-]{0,20}", fullmatch=True)
tables = st.lists(
    st.builds(Identity, subs, codes.filter(bool), subs | st.just(""), st.just("") | st.just("desk"), codes, codes),
    unique_by=lambda one: one.agent_sub,
    max_size=5,
)  # fmt: skip


@given(tables, st.permutations(COLUMNS))
def test_what_is_written_is_read(table, columns):
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([getattr(one, name) for name in columns] for one in table)
    assert [one for _, one in read_table(text.getvalue().encode())] == table


@given(
    st.text(max_size=200)
    | st.binary(max_size=200)
    | st.text('a,"\n\r', max_size=60).map(lambda rows: f"{HEADER}\n{rows}")
)
def test_any_file_is_read_or_refused(content):
    raw = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    with suppress(BadTable):
        read_table(raw)
