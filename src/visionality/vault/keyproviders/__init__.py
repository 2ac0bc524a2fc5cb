"""Where the master key lives: one file a provider, one contract for all."""
