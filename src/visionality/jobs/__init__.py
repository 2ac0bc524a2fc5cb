"""What happens on its own: the reaper and the health of the ledger."""
