"""Counting tokens, and splitting a document into chunks that hold no more of them than allowed."""
