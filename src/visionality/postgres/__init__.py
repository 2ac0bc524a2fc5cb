"""The embedded PostgreSQL: where its binaries are, and one cluster per data directory."""
