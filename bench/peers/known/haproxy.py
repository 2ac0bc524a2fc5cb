"""HAProxy as a plain reverse proxy with one thread."""

import os
from contextlib import AbstractContextManager
from pathlib import Path

from bench.peers.cache import by_apt
from bench.peers.peer import Peer, Running, free_port, process

CONFIGURATION = """
global
  nbthread 1
defaults
  mode http
  option http-no-delay
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend callers
  bind 127.0.0.1:{port}
  default_backend provider
backend provider
  http-reuse always
  server upstream 127.0.0.1:{upstream}
"""


def install(home: Path) -> str:
    return by_apt(home, "haproxy", "liblua5.3-0", "libopentracing-c-wrapper0", "libopentracing1")


def start(home: Path, scratch: Path, upstream: int) -> AbstractContextManager[Running]:
    port, file = free_port(), scratch / "haproxy.cfg"
    file.write_text(CONFIGURATION.format(port=port, upstream=upstream))
    libraries = ":".join(str(folder) for folder in home.glob("usr/lib/*-linux-gnu"))
    return process(
        [home / "usr/sbin/haproxy", "-f", file], os.environ | {"LD_LIBRARY_PATH": libraries}, port, scratch
    )


HAPROXY = Peer("HAProxy", "forwards", install, start)
