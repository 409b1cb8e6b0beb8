"""What the judge finds out about a candidate, a module a check."""
