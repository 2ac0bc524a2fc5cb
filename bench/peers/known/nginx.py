"""nginx as a plain reverse proxy with one worker: the reference of every ratio."""

import os
from contextlib import AbstractContextManager
from pathlib import Path

from bench.peers.cache import by_apt
from bench.peers.peer import Peer, Running, free_port, process

CONFIGURATION = """
daemon off; master_process on; worker_processes 1; {user} pid {scratch}/pid; error_log {scratch}/errors;
events {{ worker_connections 2048; }}
http {{
  access_log off; keepalive_requests 100000000;
  client_body_temp_path {scratch}/a; proxy_temp_path {scratch}/b;
  fastcgi_temp_path {scratch}/c; uwsgi_temp_path {scratch}/d; scgi_temp_path {scratch}/e;
  upstream provider {{ server 127.0.0.1:{upstream}; keepalive 256; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://provider; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }}
  }}
}}
"""


def install(home: Path) -> str:
    return by_apt(home, "nginx")


def start(home: Path, scratch: Path, upstream: int) -> AbstractContextManager[Running]:
    port, user = free_port(), "user root;" if os.geteuid() == 0 else ""
    file = scratch / "nginx.conf"
    file.write_text(CONFIGURATION.format(scratch=scratch, upstream=upstream, port=port, user=user))
    command: list[str | Path] = [home / "usr/sbin/nginx", "-p", scratch, "-c", file, "-e", scratch / "errors"]
    return process(command, os.environ, port, scratch)


NGINX = Peer("nginx", "forwards", install, start)
