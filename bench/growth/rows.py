"""A ledger filled with copies of rows that the product itself wrote: those of the demo's month, every time four weeks earlier.

A copy has ids, times and numbers of its own, under writers of its own, and refers to its own rows where it corrects one; so the
week's shape stays, and everything that reads the ledger by organisation, time, project, agent, task, writer or id finds it as it
would be. Of each call there are the two events of its hold, like those that a gateway wrote here. What is not so: a copy keeps the
leaf hash of its original, so it would be found altered if it were sealed, and it is noted as sealed instead.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, LiteralString, cast

import psycopg
from psycopg import sql

from bench.growth.product import Product
from bench.peers.peer import CannotRun

WEEKS = 4
AT_ONCE = 50_000
"""Numbers of each writer in one transaction."""
CAUGHT_UP_WITHIN = 1800.0
IDLE = 12.0
"""Per cent of a core that jobs and PostgreSQL take together when nothing is to be done."""

Progress = Callable[[str], None]

_EARLIER = """
create or replace function pg_temp.earlier(made uuid, ms bigint) returns uuid language sql immutable as $$
  select (lpad(to_hex(('x' || left(translate(made::text, '-', ''), 12))::bit(48)::bigint - ms), 12, '0')
          || substr(translate(made::text, '-', ''), 13))::uuid $$"""
"""An id that begins with milliseconds, as one made so much earlier. What comes from the same id is the same id."""

_COUNT = "select count(*) from vis.request_logs"
_SOURCES = """
select w.writer_no, max(l.wseq), min(l.created_at), max(l.created_at) from vis.writers w
  join vis.request_logs l using (writer_no) where w.process ~ '^demo-' group by 1 order by 1"""
_NEW_WRITER = """
insert into vis.writers (writer_no, process) select coalesce(max(writer_no), 0) + 1, 'bench-copy' from vis.writers
returning writer_no"""
_SILENT = "update vis.writers set heartbeat_at = now() - interval '1 day', fenced_at = now() where process = 'bench-copy'"
"""As writers of past months are."""
_NUMBERED = """
insert into vis.seal_cursors (log, writer_no, wseq) values ('request_logs', %(writer)s, %(upto)s), ('budget_events', %(writer)s, 2 * %(upto)s)
on conflict (log, writer_no) do update set wseq = excluded.wseq"""
_ROWS: Mapping[str, LiteralString] = {
    "created_at": "created_at - %(weeks)s * interval '1 week'",
    "id": "pg_temp.earlier(id, %(weeks)s * 604800000::bigint)",
    "request_id": "pg_temp.earlier(request_id, %(weeks)s * 604800000::bigint)",
    "corrects": "pg_temp.earlier(corrects, %(weeks)s * 604800000::bigint)",
    "writer_no": "%(writer)s",
    "tags": "case when tags ? 'of' then jsonb_set(tags, '{of}', to_jsonb((tags ->> 'of')::timestamptz - %(weeks)s * interval '1 week')) else tags end",
}
_EVENTS: Mapping[str, LiteralString] = {
    "created_at": "l.created_at - case when e.kind = 'reserve' then interval '10 ms' else interval '0' end",
    "id": "l.id",
    "writer_no": "l.writer_no",
    "wseq": "2 * l.wseq - case when e.kind = 'reserve' then 1 else 0 end",
    "hold_id": "l.id",
    "request_id": "l.request_id",
}
_TEMPLATE = """
create temporary table template as
select distinct on (kind) * from vis.budget_events where kind in ('reserve', 'settle') and cardinality(windows) = 4 order by kind"""
_BEHIND = """
select coalesce(sum(n.wseq - coalesce(c.wseq, 0)), 0)::bigint from vis.writers w
 cross join lateral (select max(wseq) as wseq from vis.request_logs l where l.writer_no = w.writer_no) n
  left join {cursor} c on c.writer_no = w.writer_no{and_log} where n.wseq is not null"""


def fill(product: Product, rows: int, progress: Progress) -> int:
    """Add copies until the ledger has so many rows, and wait until they are in the daily sums. Returns how many there are."""
    with product.connection() as connection:
        connection.execute("set synchronous_commit = off")
        connection.execute(_EARLIER)
        if connection.execute(_TEMPLATE).rowcount != 2:
            raise CannotRun("no call was made here yet, whose events could be copied: call the gateway first")
        there, began = _count(connection), time.monotonic()
        first = there
        while there < rows:
            there += _copy(connection, _copies(connection) + 1, rows - there)
            rate = (there - first) / (time.monotonic() - began)
            progress(f"{there:,} of {rows:,} rows, {rate:,.0f} a second")
    settle(product, progress)
    return there


def settle(product: Product, progress: Progress) -> None:
    """Wait until jobs have rolled, sealed and checked what there is, and do at once what autovacuum would do by and by.

    A new organisation is checked whole once a day, which takes PostgreSQL as much as calls do.
    """
    began = time.monotonic()
    with product.connection() as connection:
        while waiting := _behind(connection):
            if time.monotonic() - began > CAUGHT_UP_WITHIN:
                log = product.data_dir / "logs/jobs.log"
                raise CannotRun(f"the daily sums and seals do not catch up, {waiting:,} rows wait: see {log}")
            progress(f"{waiting:,} rows are not in the daily sums or not sealed")
            time.sleep(3)
        connection.execute(_SILENT)
        progress("vacuum and analyze")
        connection.execute("vacuum (analyze)")
        connection.execute("checkpoint")
    while (rest := product.at_rest(3.0)).jobs + rest.postgres > IDLE:
        if time.monotonic() - began > CAUGHT_UP_WITHIN:
            raise CannotRun(f"jobs do not come to rest: see {product.data_dir / 'logs/jobs.log'}")
        progress(f"jobs are at work: {rest.jobs:.0f} % of a core, and {rest.postgres:.0f} % of PostgreSQL")


def _count(connection: psycopg.Connection[Any]) -> int:
    return int(cast("tuple[int]", connection.execute(_COUNT).fetchone())[0])


def _copies(connection: psycopg.Connection[Any]) -> int:
    """How many copies of the month were begun."""
    found = connection.execute("select count(*) from vis.writers where process = 'bench-copy'").fetchone()
    sources = len(connection.execute(_SOURCES).fetchall())
    return int(cast("tuple[int]", found)[0]) // sources


def _copy(connection: psycopg.Connection[Any], number: int, most: int) -> int:
    """One more copy of the month, of not many more rows than wanted; how many it has."""
    sources = connection.execute(_SOURCES).fetchall()
    weeks, share = WEEKS * number, -(-most // len(sources))
    _open_months(connection, min(one[2] for one in sources), max(one[3] for one in sources), weeks)
    made = 0
    writers = [int(cast("tuple[int]", connection.execute(_NEW_WRITER).fetchone())[0]) for _ in sources]
    last = min(share, max(one[1] for one in sources))
    for after in range(0, last, AT_ONCE):
        with connection.transaction():
            for writer, (source, its_last, *_) in zip(writers, sources, strict=True):
                upto = min(after + AT_ONCE, share, its_last)
                given = {"writer": writer, "source": source, "after": after, "upto": upto, "weeks": weeks}
                made += connection.execute(_rows_statement(connection), given).rowcount
                connection.execute(_events_statement(connection), given)
                connection.execute(_NUMBERED, given)
    return made


def _open_months(connection: psycopg.Connection[Any], first: object, last: object, weeks: int) -> None:
    """Partitions as the product makes them, as the role that owns them."""
    with connection.transaction():
        connection.execute("set local role vis_owner")
        connection.execute(
            "select vis.add_months((m - %(weeks)s * interval '1 week' - interval '1 hour')::date, 1) from unnest(array[%(first)s, %(last)s]) m",
            {"first": first, "last": last, "weeks": weeks},
        )


def _rows_statement(connection: psycopg.Connection[Any]) -> sql.Composed:
    columns = _columns(connection, "vis.request_logs")
    return sql.SQL(
        "insert into vis.request_logs ({}) select {} from vis.request_logs"
        " where writer_no = %(source)s and wseq > %(after)s and wseq <= %(upto)s order by wseq"
    ).format(_named(columns), sql.SQL(", ").join(_expression(one, _ROWS, "") for one in columns))


def _events_statement(connection: psycopg.Connection[Any]) -> sql.Composed:
    columns = _columns(connection, "vis.budget_events")
    return sql.SQL(
        "insert into vis.budget_events ({}) select {} from vis.request_logs l cross join template e"
        " where l.writer_no = %(writer)s and l.wseq > %(after)s and l.wseq <= %(upto)s order by l.wseq, e.kind"
    ).format(_named(columns), sql.SQL(", ").join(_expression(one, _EVENTS, "e") for one in columns))


def _columns(connection: psycopg.Connection[Any], table: str) -> list[str]:
    found = connection.execute(
        "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped order by attnum",
        [table],
    )
    return [name for (name,) in found]


def _named(columns: list[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(one) for one in columns)


def _expression(column: str, replaced: Mapping[str, LiteralString], alias: str) -> sql.Composable:
    if column in replaced:
        return sql.SQL(replaced[column])
    return sql.Identifier(alias, column) if alias else sql.Identifier(column)


def _behind(connection: psycopg.Connection[Any]) -> int:
    """Rows that are not in the daily sums, or not sealed: whichever are more."""
    found = [
        connection.execute(
            sql.SQL(_BEHIND).format(cursor=sql.Identifier("vis", cursor), and_log=sql.SQL(and_log))
        ).fetchone()
        for cursor, and_log in (
            ("rollup_cursor", ""),
            ("seal_cursors", " and c.log = 'request_logs'"),
        )
    ]
    return max(int(cast("tuple[int]", one)[0]) for one in found)
