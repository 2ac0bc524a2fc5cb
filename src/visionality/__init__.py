"""Visionality: the commit ledger for AI spend."""
