"""A run directory: its identity, its ledger, its shards."""
