"""A supervisor to be killed: holds the data directory, runs the server, prints what happens, waits."""

import sys
from pathlib import Path

from visionality.postgres import Cluster, DataDirLock, PostgresFault, find_binaries


def say(word):
    print(word, flush=True)


def main(data_dir, bin_dir):
    with DataDirLock(data_dir):
        cluster = Cluster(data_dir, find_binaries(bin_dir), say)
        endpoint = cluster.start()
        say(f"pid {cluster.pid}")
        say(f"dsn {endpoint.dsn('postgres')}")
        sys.stdin.read()
        cluster.stop()
    say("stopped")


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
    except PostgresFault as fault:
        say(f"refused {type(fault).__name__}: {fault}")
