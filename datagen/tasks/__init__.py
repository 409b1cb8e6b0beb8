"""Kinds of questions: how candidates are made, what proves them."""
