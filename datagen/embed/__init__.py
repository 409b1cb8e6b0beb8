"""Chunk encoders."""
