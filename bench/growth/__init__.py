"""What a call and a page cost as the ledger, the keys, the budgets and the gateways grow. `make bench-growth`."""
