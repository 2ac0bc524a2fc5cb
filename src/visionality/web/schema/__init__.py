"""The one history of the database: these migrations wrap the SQL of the ledger and the registry."""
