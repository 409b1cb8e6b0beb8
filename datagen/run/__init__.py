"""A run directory: where everything in it stands, its identity, its ledger, its shards."""
