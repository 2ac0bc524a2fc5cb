import os

import pytest

from visionality.postgres import DataDirInUse, DataDirLock, find_binaries

default_server = pytest.mark.parametrize("binaries", [find_binaries(None)], ids=["default"])


def test_a_second_supervisor_is_refused_and_told_the_pid(data_dir):
    with DataDirLock(data_dir):
        assert (data_dir / "supervisor.lock").read_text() == f"{os.getpid()}\n"
        with pytest.raises(DataDirInUse, match=rf"pid {os.getpid()}\): stop that one first"):
            DataDirLock(data_dir).acquire()
    with DataDirLock(data_dir):
        pass


@default_server
def test_a_supervisor_in_another_process_is_refused(supervise, data_dir, binaries):
    with DataDirLock(data_dir):
        said, _ = supervise(data_dir, binaries).communicate(timeout=20)
    assert said.startswith("refused DataDirInUse")
    assert not (data_dir / "postgres").exists()


@default_server
def test_kill_9_frees_the_directory_although_the_server_outlives_it_for_a_moment(
    supervise, data_dir, binaries, wait_for_end
):
    supervisor = supervise(data_dir, binaries)
    lines = iter(supervisor.stdout.readline, "")
    pid = next(int(line.split()[1]) for line in lines if line.startswith("pid "))
    with pytest.raises(DataDirInUse, match=f"pid {supervisor.pid}"):
        DataDirLock(data_dir).acquire()
    supervisor.kill()
    supervisor.wait()
    with DataDirLock(data_dir):
        wait_for_end(pid)
