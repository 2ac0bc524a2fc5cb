"""Provider keys at rest: envelope encryption under a master key."""
