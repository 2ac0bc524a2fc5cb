"""Real servers of every version found here, each in a data directory that is gone afterwards."""

import contextlib
import os
import select
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from visionality.postgres import Cluster, find_binaries
from visionality.postgres.binaries import DEBIAN_ROOT
from visionality.postgres.shared import SHARED_ROOT, digest_of

SERVERS = [find_binaries(None), *(find_binaries(path / "bin") for path in sorted(DEBIAN_ROOT.glob("*")))]
AS_ROOT = os.geteuid() == 0


def pytest_generate_tests(metafunc):
    chosen = any("binaries" in mark.args for mark in metafunc.definition.iter_markers("parametrize"))
    if "binaries" in metafunc.fixturenames and not chosen:
        metafunc.parametrize("binaries", SERVERS, ids=lambda found: f"{found.origin}-{found.version}")


@pytest.fixture
def open_dir():
    """A directory that every account can enter, unlike tmp_path."""
    path = Path(tempfile.mkdtemp(prefix="vis-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def data_dir(open_dir):
    yield open_dir / "data"
    forget(open_dir / "data")


@pytest.fixture
def said():
    return []


@pytest.fixture
def make_cluster(said):
    """Clusters that are stopped, and forgotten outside their data directory, when the test ends."""
    made = []

    def make(data_dir, binaries):
        made.append((data_dir, Cluster(data_dir, binaries, said.append)))
        return made[-1][1]

    yield make
    for data_dir, cluster in made:
        cluster.stop()
        forget(data_dir)


@pytest.fixture
def cluster(make_cluster, data_dir, binaries):
    return make_cluster(data_dir, binaries)


@pytest.fixture
def supervise():
    """Start supervisor.py as its own process; killed when the test ends."""
    started = []

    def start(data_dir, binaries, **more):
        script = Path(__file__).with_name("supervisor.py")
        command = [more.pop("python", sys.executable), script, data_dir, binaries.bin_dir]
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **more,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def forget(data_dir):
    """Remove what a cluster of this data directory keeps elsewhere."""
    digest = digest_of(data_dir.resolve())
    outside = [SHARED_ROOT / digest, *Path(tempfile.gettempdir()).glob(f"visionality-{digest}*")]
    for path in outside:
        shutil.rmtree(path, ignore_errors=True)
    with contextlib.suppress(OSError):
        SHARED_ROOT.rmdir()


@pytest.fixture
def wait_for_end():
    def wait(pid):
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        ready, _, _ = select.select([handle], [], [], 15)
        os.close(handle)
        assert ready, f"process {pid} did not end"

    return wait
