"""Benchmarks for models that cite their evidence: predictions, and honest scores."""
