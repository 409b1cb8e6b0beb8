"""The embedded, model-free generator (`cloze`) and verifier (`rules`) of multi-evidence cloze questions."""
