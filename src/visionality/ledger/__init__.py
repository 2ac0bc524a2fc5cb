"""The append-only store: rows are kept here and nothing changes them."""
