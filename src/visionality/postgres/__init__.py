"""The embedded PostgreSQL: where its binaries are, and one cluster per data directory."""

from visionality.postgres.binaries import Binaries, BinariesMissing, UnsupportedVersion, find_binaries
from visionality.postgres.cluster import Cluster, ClusterFailed, VersionMismatch
from visionality.postgres.endpoint import ClusterNotRunning, Endpoint, read_endpoint
from visionality.postgres.errors import PostgresFault
from visionality.postgres.lock import DataDirInUse, DataDirLock
from visionality.postgres.place import DataDirUnusable

__all__ = [
    "Binaries",
    "BinariesMissing",
    "Cluster",
    "ClusterFailed",
    "ClusterNotRunning",
    "DataDirInUse",
    "DataDirLock",
    "DataDirUnusable",
    "Endpoint",
    "PostgresFault",
    "UnsupportedVersion",
    "VersionMismatch",
    "find_binaries",
    "read_endpoint",
]
