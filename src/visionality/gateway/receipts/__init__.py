"""Receipts: what the row of a call says, signed, for the client that asks (docs/audit/receipts.md)."""
