"""Virtual keys: issued, listed, revoked."""
