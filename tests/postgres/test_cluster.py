"""Life of the server: start, stop, crash, and what each leaves."""

import asyncio
import contextlib
import os
import signal
import stat
import subprocess
import time

import asyncpg
import psycopg
import pytest

from visionality.postgres import (
    Cluster,
    ClusterFailed,
    ClusterNotRunning,
    DataDirUnusable,
    VersionMismatch,
    find_binaries,
    read_endpoint,
    remains,
)
from visionality.postgres import cluster as cluster_module
from visionality.postgres.account import server_account
from visionality.postgres.place import find_place, open_data_dir

default_server = pytest.mark.parametrize("binaries", [find_binaries(None)], ids=["default"])


def query(endpoint, statement):
    with psycopg.connect(endpoint.dsn("postgres")) as connection:
        return connection.execute(statement).fetchone()


def execute(endpoint, statement):
    with psycopg.connect(endpoint.dsn("postgres")) as connection:
        connection.execute(statement)


def kill_server(cluster, wait_for_end):
    pid = cluster.pid
    os.kill(pid, signal.SIGKILL)
    wait_for_end(pid)
    assert cluster.poll() == -signal.SIGKILL


def cluster_dir_of(data_dir):
    return find_place(open_data_dir(data_dir), server_account()).cluster_dir


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_rows_survive_stop_and_start(cluster, said):
    execute(cluster.start(), "create table t as select 7 as n")
    cluster.stop()
    assert (cluster.poll(), cluster.pid) == (0, None)
    assert len(said) == 1
    assert query(cluster.start(), "select n from t") == (7,)
    assert len(said) == 1
    cluster.stop()
    cluster.stop()


def test_the_first_start_after_kill_9_of_the_server_works_and_keeps_rows(cluster, wait_for_end):
    endpoint = cluster.start()
    for count in range(3):
        execute(endpoint, f"create table t{count} as select {count} as n")
        kill_server(cluster, wait_for_end)
        assert query(cluster.start(), f"select n from t{count}") == (count,)


def test_a_backend_that_computes_on_does_not_hinder_the_next_start(cluster, wait_for_end):
    endpoint = cluster.start()
    with contextlib.closing(psycopg.connect(endpoint.dsn("postgres"), autocommit=True)) as busy:
        busy.pgconn.send_query(b"select count(*) from generate_series(1, 100000000000) n where n % 7 = 8")
        active = (
            f"select count(*) from pg_stat_activity where pid = {busy.info.backend_pid} and state = 'active'"
        )
        until = time.monotonic() + 10
        while query(endpoint, active) != (1,):
            assert time.monotonic() < until
        kill_server(cluster, wait_for_end)
        cluster.start()
        wait_for_end(busy.info.backend_pid)


@default_server
def test_a_stale_pid_file_that_names_another_process_of_the_account_does_not_hinder(
    cluster, data_dir, wait_for_end
):
    cluster.start()
    kill_server(cluster, wait_for_end)
    account = server_account()
    who = {"user": account.uid, "group": account.gid} if account.switch else {}
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, **who) as other:
        pid_file = cluster_dir_of(data_dir) / "postmaster.pid"
        pid_file.write_text("\n".join([str(other.pid), *pid_file.read_text().splitlines()[1:]]))
        cluster.start()
        assert other.poll() is None
        other.stdin.close()


def test_a_second_server_is_never_started_on_a_live_one(
    cluster, make_cluster, data_dir, binaries, monkeypatch
):
    endpoint = cluster.start()
    monkeypatch.setattr(remains, "ENDING_S", 0.05)
    with pytest.raises(remains.ServerStillRuns, match=f"pid {cluster.pid}"):
        make_cluster(data_dir, binaries).start()
    assert query(endpoint, "select 1") == (1,)


def test_kill_9_of_the_supervisor_ends_the_server_and_the_next_start_works(
    supervise, make_cluster, data_dir, binaries, wait_for_end
):
    supervisor = supervise(data_dir, binaries)
    lines = iter(supervisor.stdout.readline, "")
    pid = next(int(line.split()[1]) for line in lines if line.startswith("pid "))
    execute(read_endpoint(data_dir), "create table t as select 7 as n")
    supervisor.kill()
    assert query(make_cluster(data_dir, binaries).start(), "select n from t") == (7,)
    wait_for_end(pid)


@default_server
def test_an_interrupted_initdb_is_cleared_away(supervise, make_cluster, data_dir, binaries):
    supervisor = supervise(data_dir, binaries)
    assert supervisor.stdout.readline().startswith("making a new PostgreSQL")
    until = time.monotonic() + 10
    while not list(data_dir.glob("postgres.new-*/data/PG_VERSION")):
        assert time.monotonic() < until
    supervisor.kill()
    supervisor.wait()
    assert not (data_dir / "postgres").exists()
    cluster = make_cluster(data_dir, binaries)
    assert query(cluster.start(), "select 1") == (1,)
    cluster.stop()
    cluster.start()
    assert not list(data_dir.glob("postgres.new-*"))


@default_server
def test_other_commands_find_the_server_only_while_it_runs(cluster, data_dir, wait_for_end):
    with pytest.raises(ClusterNotRunning, match=f"`vis up --data-dir {data_dir}`"):
        read_endpoint(data_dir)
    endpoint = cluster.start()
    assert read_endpoint(data_dir) == endpoint
    assert endpoint.password not in repr(endpoint)
    kill_server(cluster, wait_for_end)
    with pytest.raises(ClusterNotRunning, match="start it with"):
        read_endpoint(data_dir)


def test_only_the_password_opens_the_door(cluster, data_dir):
    endpoint = cluster.start()
    rules = (cluster_dir_of(data_dir) / "pg_hba.conf").read_text().splitlines()
    methods = {rule.split()[-1] for rule in rules if rule.strip() and not rule.startswith("#")}
    assert methods == {"scram-sha-256"}
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(endpoint.dsn("postgres", "vis_super", "wrong"))
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(endpoint.dsn("postgres", "vis_super"))
    assert query(endpoint, "show listen_addresses") == ("",)
    assert query(endpoint, "show data_checksums") == ("on",)


def test_only_the_owner_can_reach_secrets_socket_and_log(cluster, data_dir):
    endpoint = cluster.start()
    closed = ["secrets", "run", "logs", "postgres"]
    assert [mode_of(data_dir / name) for name in closed] == [0o700] * 4
    files = ["secrets/vis_super.password", "supervisor.lock", "logs/postgres.log", "database.json"]
    assert {mode_of(data_dir / name) for name in files if (data_dir / name).exists()} == {0o600}
    assert endpoint.socket_dir == data_dir / "run"


def test_data_of_another_version_is_refused_with_a_way_out(cluster, data_dir, binaries):
    cluster.start()
    cluster.stop()
    (cluster_dir_of(data_dir) / "PG_VERSION").write_text("16\n")
    with pytest.raises(VersionMismatch, match=rf"PostgreSQL 16, .* are {binaries.major}: .*VIS_POSTGRES_BIN"):
        cluster.start()


@default_server
def test_a_server_that_cannot_start_says_what_its_log_says(cluster, data_dir):
    cluster.start()
    cluster.stop()
    (cluster_dir_of(data_dir) / "postgresql.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(ClusterFailed, match="no_such_setting"):
        cluster.start()
    assert cluster.pid is None


@default_server
def test_a_cluster_without_its_password_is_refused_and_kept(cluster, data_dir):
    cluster.start()
    cluster.stop()
    (data_dir / "secrets" / "vis_super.password").unlink()
    with pytest.raises(cluster_module.PostgresFault, match="restore the file"):
        cluster.start()
    assert (cluster_dir_of(data_dir) / "PG_VERSION").exists()


@default_server
def test_a_cluster_that_vanished_is_not_replaced_by_an_empty_one(cluster, data_dir):
    cluster.start()
    cluster.stop()
    (data_dir / "postgres").rename(data_dir / "elsewhere")
    with pytest.raises(DataDirUnusable, match="it is not there"):
        cluster.start()


@default_server
def test_a_big_log_is_turned_once_at_a_start(cluster, data_dir, monkeypatch):
    cluster.start()
    cluster.stop()
    monkeypatch.setattr(cluster_module, "LOG_LIMIT_BYTES", 10)
    cluster.start()
    assert (data_dir / "logs" / "postgres.log.1").stat().st_size > 10


def test_a_path_with_spaces_quotes_and_other_letters_works_for_both_drivers(make_cluster, open_dir, binaries):
    directory = open_dir / "Käse brot" / 'it\'s "100%" ñ'
    endpoint = make_cluster(directory, binaries).start()
    assert endpoint.socket_dir == directory / "run"
    assert query(endpoint, "select current_user") == ("vis_super",)

    async def ask():
        connection = await asyncpg.connect(endpoint.dsn("postgres"))
        try:
            return await connection.fetchval("select current_user")
        finally:
            await connection.close()

    assert asyncio.run(ask()) == "vis_super"


@default_server
@pytest.mark.parametrize("name", ["long" * 30, "with,comma"])
def test_a_path_that_no_socket_can_have_gets_a_short_private_one(make_cluster, open_dir, binaries, name):
    endpoint = make_cluster(open_dir / name, binaries).start()
    assert query(endpoint, "select 1") == (1,)
    assert open_dir not in endpoint.socket_dir.parents
    assert mode_of(endpoint.socket_dir) == 0o700
    assert read_endpoint(open_dir / name) == endpoint


@default_server
def test_a_directory_can_be_moved_while_it_is_stopped(make_cluster, open_dir, binaries):
    first = make_cluster(open_dir / "here", binaries)
    execute(first.start(), "create table t as select 7 as n")
    first.stop()
    (open_dir / "here").rename(open_dir / "there")
    assert query(make_cluster(open_dir / "there", binaries).start(), "select n from t") == (7,)


@default_server
def test_the_data_directory_must_be_a_directory(open_dir, binaries):
    (open_dir / "file").touch()
    with pytest.raises(DataDirUnusable, match="choose another --data-dir"):
        Cluster(open_dir / "file", binaries, print).start()
    with pytest.raises(DataDirUnusable, match="choose another --data-dir"):
        Cluster(open_dir / "file" / "below", binaries, print).start()
