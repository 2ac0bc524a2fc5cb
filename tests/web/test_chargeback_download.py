"""The chargeback as a download: the command's bytes, flat memory, and a reader who leaves ends the query (F1)."""

import io
import socket
import time
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from conftest import SUPERUSER, clone_of
from product import BETWEEN
from visionality.chargeback import cost_centers, csv
from visionality.core.period import month
from visionality.ledger.reader import scope
from visionality.runtime.clock import utc_now
from web.browsing import plane_on
from web.rows import call

DOLLAR = 1_000_000_000


@pytest.fixture(scope="module")
def plane(cluster, template):
    """One of its own: no other test wants so many rows in its database."""
    with clone_of(cluster, template) as database, plane_on(database, "sandbox") as running:
        yield running


def spend(nusd, **given):
    return call(cost_nusd=nusd, **({"billed_nusd": nusd} | given))


def this_month():
    return f"{utc_now():%Y-%m}"


def written(office, wanted=(), by=None):
    """What the command writes."""
    period, out = month(this_month()), io.BytesIO()
    with psycopg.connect(office.plane.database.dsn("vis_reader"), row_factory=dict_row) as connection:
        scope(connection, office.org_id)
        given = (connection, office.org_id, period.start, period.end, dict(wanted), out)
        if by:
            cost_centers.write(*given)
        else:
            csv.write(*given, lambda _written, _in_all: None)
    return out.getvalue().decode()


@pytest.fixture
def spent(office):
    office.write(
        spend(3 * DOLLAR + 1, team_id="grid", cost_center="CC-410", gl_code="6000"),
        spend(2 * DOLLAR, project_id="=HYPERLINK(1)", agent_owner='Åsa, "the" Kärn'),
        spend(DOLLAR, project_id="SOCE"),
    )
    return office


def test_the_download_is_what_the_command_writes(spent):
    answer = spent.browser.get(f"/finance/chargeback.csv?month={this_month()}")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == f'attachment; filename="chargeback-{this_month()}.csv"'
    assert answer.text == written(spent)
    assert answer.text.splitlines()[-1] == "TOTAL,,,,,,,USD,6.000000001"
    assert "'=HYPERLINK(1)" in answer.text


def test_it_is_narrowed_as_the_command_is(spent):
    for name, value in {"project": "SOCE", "team": "grid", "owner": 'Åsa, "the" Kärn'}.items():
        answer = spent.browser.get(f"/finance/chargeback.csv?month={this_month()}&{name}={quote(value)}")
        assert answer.text == written(spent, {name: value})
        assert len(answer.text.splitlines()) == 3


def test_by_cost_center_it_is_divided(spent):
    answer = spent.browser.get(f"/finance/chargeback.csv?month={this_month()}&by=cost-center")
    assert answer.text == written(spent, by="cost-center")
    assert answer.text.splitlines()[-1] == "TOTAL,,,USD,6.000000001,6.000000001,3"


def test_a_period_without_rows_is_a_header_and_a_total(office):
    lines = office.browser.get("/finance/chargeback.csv?month=2020-01").text.splitlines()
    assert len(lines) == 2
    assert lines[1] == "TOTAL,,,,,,,USD,0"


@pytest.mark.parametrize(
    "query", ["month=2026-13", "by=nothing", "booked=x", "project=%00", "from=2026-11-01"]
)
def test_what_no_link_of_ours_says_is_a_bad_request(office, query):
    assert office.browser.get(f"/finance/chargeback.csv?{query}").status == 400


def test_another_organisations_rows_are_not_in_it(new_office):
    ours, theirs = new_office(), new_office()
    theirs.write(spend(DOLLAR, project_id="THEIRS"))
    assert "THEIRS" not in ours.browser.get(f"/finance/chargeback.csv?month={this_month()}").text


COPIES = """
insert into vis.request_logs (id, wseq, writer_no, {names})
select gen_random_uuid(), 1000000 + n, 0, {names} from vis.request_logs, generate_series(1, {count}) n where org_id = {org_id}
"""


def many(office, count):
    """A row so often as no test could write it through the gateway's writer."""
    office.write(spend(DOLLAR))
    with office.plane.database.as_role("vis_super") as connection:
        names = [
            column.name
            for column in connection.execute("select * from vis.request_logs limit 0").description
            if column.name not in {"id", "wseq", "writer_no"}
        ]
        connection.execute(
            sql.SQL(COPIES).format(
                names=sql.SQL(", ").join(map(sql.Identifier, names)), count=count, org_id=office.org_id
            )
        )


def memory_of(pid):
    """The most that a process ever had in memory, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def until(condition):
    give_up = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < give_up, "it did not come about in time"
        time.sleep(BETWEEN)


def opened(office, path):
    """A connection that has asked and read nothing."""
    door = socket.create_connection(("127.0.0.1", office.plane.port))
    jar = "; ".join(f"{name}={value}" for name, value in office.browser.cookies.items())
    door.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {jar}\r\n\r\n".encode())
    return door


def test_memory_stays_flat_and_a_slow_reader_holds_no_connection(office):
    many(office, 150_000)
    path = f"/finance/chargeback.csv?month={this_month()}"
    office.browser.get("/finance/chargeback.csv?month=2020-01")
    Path(f"/proc/{office.plane.process.pid}/clear_refs").write_text("5")
    before = memory_of(office.plane.process.pid)
    with opened(office, path) as slow:
        until(lambda: copying(office) == 1)
        until(lambda: copying(office) == 0)
        size = 0
        while block := slow.recv(1 << 20):
            size += len(block)
            if block.endswith(b"0\r\n\r\n"):
                break
    assert size > 15_000_000
    assert memory_of(office.plane.process.pid) - before < 12_000_000


def copying(office):
    with psycopg.connect(office.plane.database.dsn(SUPERUSER), autocommit=True) as connection:
        found = connection.execute(
            "select count(*) from pg_stat_activity where usename = 'vis_reader' and datname = current_database()"
            " and state <> 'idle' and query ilike '%%request_logs%%'"
        )
        return found.fetchone()[0]


def test_a_reader_who_leaves_ends_the_query(office):
    many(office, 1)
    lock = office.plane.database.dsn(SUPERUSER)
    with psycopg.connect(lock) as connection:
        connection.execute("lock table vis.request_logs in access exclusive mode")
        door = opened(office, f"/finance/chargeback.csv?month={this_month()}")
        until(lambda: copying(office) == 1)
        door.close()
        until(lambda: copying(office) == 0)
