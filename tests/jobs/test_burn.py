"""Promise B2: a budget that burns is told to the operator, once, with a forecast and the reason; by mail and webhook too."""

import asyncio
import base64
import hashlib
import hmac
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
import pytest
from aiosmtpd.controller import Controller
from psycopg.rows import dict_row

from ledger.rows import insert, smallest
from visionality.core.money import NANO
from visionality.core.window import bounds, window_id
from visionality.jobs.burn import watch
from visionality.jobs.deliver import WAITS, Deliverer, Mail
from visionality.ledger.administration import open_budget, open_window
from visionality.ledger.batch import Window
from visionality.runtime.clock import utc_now
from visionality.runtime.ids import uuid7
from visionality.vault.webhooks import PREFIX, spelled, webhook_key

SECRET = b"k" * 32
ZONE = ZoneInfo("Europe/Berlin")


def next_month() -> datetime:
    """The start of a month that has a partition, as has the one before it."""
    first = bounds("month", ZONE, utc_now())[1]
    return bounds("month", ZONE, first)[0]


class Soce:
    """The project SOCE: a soft cap of 2,500 dollars a month with thresholds at 60 and 80 percent."""

    def __init__(self, database, org: UUID) -> None:
        self.database, self.org = database, org
        self.starts_at, self.ends_at = bounds("month", ZONE, next_month())
        self.budget_id = uuid7()
        self.window = Window(
            org,
            window_id(self.budget_id, self.starts_at, "SOCE"),
            self.budget_id,
            "SOCE",
            self.starts_at,
            self.ends_at,
        )
        with self.connected("vis_web") as connection:
            connection.execute("select set_config('vis.org_id', %s, true)", [str(org)])
            connection.execute("update vis_control.organisation set time_zone = 'Europe/Berlin'")
            connection.execute(
                """insert into vis_control.budget (id, org_id, scope_kind, scope_value, period, cap_nusd, hard, soft, near_cap, created_at)
                   values (%s, %s, 'project', 'SOCE', 'month', %s, false, '[60, 80]', 'refuse', now())""",
                [self.budget_id, org, 2_500 * NANO],
            )
            open_budget(connection.cursor(), org, self.budget_id, 2_500 * NANO, hard=False)
            open_window(connection.cursor(), self.window, 0)

    @contextmanager
    def connected(self, role: str) -> Iterator[psycopg.Connection]:
        with psycopg.connect(self.database.dsn(role), row_factory=dict_row) as connection:
            yield connection

    def day(self, number: int) -> datetime:
        """Noon of a day of the month, counted from 1; before it from 0 down."""
        return self.starts_at + timedelta(days=number - 1, hours=12)

    def spend(self, number: int, usd: int, agent: str, model: str, task_class: str) -> None:
        with self.connected("vis_super") as connection:
            row = smallest("request_logs", self.org, self.day(number)) | {
                "project_id": "SOCE",
                "agent_sub": agent,
                "model_used": model,
                "task_class": task_class,
                "cost_nusd": usd * NANO,
            }
            insert(connection, "request_logs", row)
            if number > 0:
                connection.execute(
                    "update vis.budget_windows set spent_nusd = spent_nusd + %s where window_id = %s",
                    [usd * NANO, self.window.window_id],
                )

    def channel(self, kind: str, target: str) -> UUID:
        channel_id = uuid7()
        with self.connected("vis_web") as connection:
            connection.execute("select set_config('vis.org_id', %s, true)", [str(self.org)])
            connection.execute(
                "insert into vis_control.alert_channel (id, org_id, kind, target, created_at) values (%s, %s, %s, %s, now())",
                [channel_id, self.org, kind, target],
            )
        return channel_id

    def watched(self, number: int) -> int:
        return watch(self.database.dsn("vis_jobs"), self.day(number))

    def alerts(self) -> list[dict]:
        with self.connected("vis_super") as connection:
            return connection.execute("select * from vis.alerts order by created_at").fetchall()

    def deliveries(self) -> list[dict]:
        with self.connected("vis_super") as connection:
            return connection.execute("select * from vis.alert_deliveries").fetchall()


@pytest.fixture
def soce(database, org) -> Soce:
    """Up to day 12: everybody as always, and Derek, who refactors with a long-context model since day 5."""
    soce = Soce(database, org)
    for number in range(-20, 13):
        soce.spend(number, 20, "alice@arctrade", "claude-sonnet-4-6", "code_completion")
        if number >= 5:
            soce.spend(number, 160, "derek@arctrade", "claude-opus-4-5-1m", "refactor")
    return soce


def test_a_project_at_60_percent_on_day_12_is_flagged_with_forecast_and_reason(soce):
    assert soce.watched(12) == 1
    (alert,) = soce.alerts()
    assert (alert["scope"], alert["mark"], alert["kind"]) == ("project:SOCE", 60, "budget_threshold")
    assert "60%" in alert["title"]
    detail = alert["detail"]
    assert (detail["spent_usd"], detail["cap_usd"]) == ("1520", "2500")
    assert (
        float(detail["forecast_low_usd"])
        <= float(detail["forecast_usd"])
        <= float(detail["forecast_high_usd"])
    )
    assert float(detail["forecast_usd"]) > 2500
    assert detail["cap_reached_on"] is not None
    first = {one["dimension"]: one["value"] for one in reversed(detail["drivers"])}
    assert first == {
        "agent_sub": "derek@arctrade",
        "model_used": "claude-opus-4-5-1m",
        "task_class": "refactor",
    }
    assert "derek@arctrade" in alert["body"]


def test_a_crossing_is_told_once_and_the_next_threshold_again(soce):
    assert [soce.watched(12) for _ in range(3)] == [1, 0, 0]
    soce.spend(13, 480, "derek@arctrade", "claude-opus-4-5-1m", "refactor")
    assert [soce.watched(13) for _ in range(2)] == [1, 0]
    assert [alert["mark"] for alert in soce.alerts()] == [60, 80]


def test_two_watchers_at_once_tell_it_once(soce):
    told: list[int] = []
    watchers = [threading.Thread(target=lambda: told.append(soce.watched(12))) for _ in range(4)]
    for watcher in watchers:
        watcher.start()
    for watcher in watchers:
        watcher.join()
    assert sum(told) == 1


def test_below_its_thresholds_nothing_is_told_and_another_window_is_another_matter(soce):
    with soce.connected("vis_super") as connection:
        connection.execute("update vis.budget_windows set spent_nusd = %s", [1_499 * NANO])
    assert soce.watched(12) == 0
    with soce.connected("vis_super") as connection:
        connection.execute("update vis.budget_windows set spent_nusd = %s", [1_500 * NANO])
    assert watch(soce.database.dsn("vis_jobs"), soce.ends_at + timedelta(hours=1)) == 0
    assert soce.watched(12) == 1


class Inbox:
    """A mail server that keeps what it is sent."""

    def __init__(self) -> None:
        self.mails: list = []

    async def handle_DATA(self, server, session, envelope) -> str:
        self.mails.append(envelope)
        return "250 Message accepted"


async def closed(sessions: list) -> None:
    """End what is open: the controller itself leaves its connections to the collector."""
    for session in sessions:
        transport = session.transport
        if transport is not None:
            transport.abort()
    for _ in range(3):
        await asyncio.sleep(0)


@contextmanager
def mail_server() -> Iterator[tuple[Inbox, str]]:
    inbox = Inbox()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    sessions: list = []

    class Closing(Controller):
        def factory(self):
            sessions.append(super().factory())
            return sessions[-1]

    controller = Closing(inbox, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield inbox, f"smtp://127.0.0.1:{port}"
    finally:
        asyncio.run_coroutine_threadsafe(closed(sessions), controller.loop).result()
        controller.stop()


@contextmanager
def receiver(*statuses: int) -> Iterator[tuple[list, str]]:
    """A server that answers as told, then with 204, and keeps what it got."""
    got: list = []
    answers = list(statuses)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            got.append((self.path, dict(self.headers), body))
            self.send_response(answers.pop(0) if answers else 204)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield got, f"http://127.0.0.1:{server.server_port}/hook?x=1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Time:
    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def test_an_alert_goes_to_the_mailbox_once(soce):
    with mail_server() as (inbox, url):
        soce.channel("email", "finance@arctrade.example")
        soce.watched(12)
        deliverer = Deliverer(
            soce.database.dsn("vis_jobs"), Mail(url, "vis@arctrade.example"), SECRET, Time(soce.day(12))
        )
        assert [deliverer.deliver() for _ in range(2)] == [1, 0]
    (mail,) = inbox.mails
    assert mail.rcpt_tos == ["finance@arctrade.example"]
    assert b"Subject: project:SOCE reached 60%" in mail.content
    assert b"derek@arctrade" in mail.content


def test_a_webhook_is_signed_so_that_its_receiver_can_tell_it_is_ours(soce):
    with receiver() as (got, url):
        channel_id = soce.channel("webhook", url)
        soce.watched(12)
        now = soce.day(12)
        assert Deliverer(soce.database.dsn("vis_jobs"), None, SECRET, Time(now)).deliver() == 1
    ((path, headers, body),) = got
    secret = spelled(webhook_key(SECRET, channel_id))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = hmac.digest(base64.b64decode(secret.removeprefix(PREFIX)), signed, hashlib.sha256)
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(expected).decode()}"
    assert path == "/hook?x=1"
    assert int(headers["webhook-timestamp"]) == int(now.timestamp())
    assert json.loads(body)["data"]["scope"] == "project:SOCE"


def test_what_is_not_taken_is_sent_again_later_under_the_same_id_and_given_up_after_a_day(soce):
    with receiver(500, 302, 500, 500, 500, 500) as (got, url):
        soce.channel("webhook", url)
        soce.watched(12)
        time = Time(soce.day(12))
        deliverer = Deliverer(soce.database.dsn("vis_jobs"), None, SECRET, time)
        for wait in (*WAITS, timedelta(days=1)):
            assert deliverer.deliver() == 0
            assert deliverer.deliver() == 0
            time.now += wait
        assert deliverer.deliver() == 0
    assert len(got) == len(WAITS) + 1
    assert len({headers["webhook-id"] for _, headers, _ in got}) == 1
    (delivery,) = soce.deliveries()
    assert delivery["given_up_at"] is not None
    assert delivery["last_error"] == "it answered 500"
    assert len(soce.alerts()) == 1


def test_mail_waits_as_long_as_there_is_no_server_for_it(soce):
    soce.channel("email", "finance@arctrade.example")
    soce.watched(12)
    time = Time(soce.day(12))
    assert Deliverer(soce.database.dsn("vis_jobs"), None, SECRET, time).deliver() == 0
    time.now += WAITS[0]
    with mail_server() as (inbox, url):
        assert (
            Deliverer(soce.database.dsn("vis_jobs"), Mail(url, "vis@x.example"), SECRET, time).deliver() == 1
        )
    assert len(inbox.mails) == 1


def test_an_alert_is_seen_by_its_own_organisation_only(soce):
    soce.watched(12)
    with soce.connected("vis_web") as connection:
        connection.execute("select set_config('vis.org_id', %s, true)", [str(soce.org)])
        assert len(connection.execute("select * from vis.alerts").fetchall()) == 1
        connection.execute("select set_config('vis.org_id', %s, true)", [str(uuid7())])
        assert connection.execute("select * from vis.alerts").fetchall() == []
