"""D1: the same software on an outside PostgreSQL, here a distribution's 15 where there is one, else the wheel's."""

import shutil
from base64 import b64encode
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest

from product import running, running_in, set_up
from visionality.postgres import Cluster, find_binaries

MASTER_KEY = b64encode(bytes(range(32))).decode()
DEBIAN = Path("/usr/lib/postgresql/15/bin")


@pytest.fixture(scope="module")
def database_url():
    with TemporaryDirectory(prefix="vis-") as made:
        Path(made).chmod(0o755)
        cluster = Cluster(
            Path(made) / "outside", find_binaries(DEBIAN if DEBIAN.exists() else None), lambda _: None
        )
        endpoint = cluster.start()
        try:
            with psycopg.connect(endpoint.dsn("postgres"), autocommit=True) as connection:
                connection.execute("create database spend")
            yield endpoint.dsn("spend")
        finally:
            cluster.stop()


@pytest.fixture(scope="module")
def product(database_url):
    with running("--database-url", database_url, master_key=MASTER_KEY) as product:
        product.environment["VIS_DATABASE_URL"] = database_url
        yield product


def test_the_product_runs_on_an_outside_database_and_starts_no_server_of_its_own(database_url, product):
    assert "postgres" not in product.summary["pids"]
    assert not (product.data_dir / "postgres").exists()
    set_up(product)
    product.run("try")
    with psycopg.connect(database_url) as connection:
        found = connection.execute(
            "select project_id, provider, price_state from vis.request_logs"
        ).fetchall()
    assert found == [("TRY", "sandbox", "known")]
    assert "append-only" in product.run("check")


def test_a_second_data_directory_cannot_lock_the_first_one_out(database_url, product):
    with (
        pytest.raises(AssertionError, match="no passwords for them"),
        running("--database-url", database_url, master_key=MASTER_KEY),
    ):
        pass
    assert "append-only" in product.run("check")


def test_a_planted_grant_on_one_partition_is_found_and_nothing_starts(database_url, product):
    data_dir = product.data_dir
    with psycopg.connect(database_url, autocommit=True) as connection:
        (partition,) = connection.execute(
            "select inhrelid::regclass::text from pg_inherits where inhparent = 'vis.request_logs'::regclass limit 1"
        ).fetchone()
        connection.execute(f"grant update on {partition} to vis_writer")
        try:
            told = product.run("check", code=1)
            assert partition in told
            assert "vis_writer" in told
            for command in ("migrate", "gateway"):
                refused = product.try_run(command)
                assert refused.returncode == 1
                assert partition in refused.stderr
            second = data_dir.parent / "second"
            shutil.copytree(data_dir / "secrets", second / "secrets")
            with (
                pytest.raises(AssertionError, match=partition),
                running_in(second, "--database-url", database_url),
            ):
                pass
        finally:
            connection.execute(f"revoke update on {partition} from vis_writer")
    assert "append-only" in product.run("check")
