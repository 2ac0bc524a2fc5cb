"""The outside world, met once: settings, clock, ids, SQL files, logging."""
