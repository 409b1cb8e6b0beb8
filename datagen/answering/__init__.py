"""A question about one document, answered by a model with the passages that it cites: what `ask` does."""
