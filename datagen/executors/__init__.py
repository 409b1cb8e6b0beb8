"""Where shards are processed."""
