"""What `select` decides by: the order in which candidates are taken, duplicates, benchmarks, the window of a prompt."""
