"""Dated prices: the bundled snapshot and what the operator put above it."""
