"""What the length of a document is called, so that a benchmark's data and files of predictions call it the same."""

from __future__ import annotations


def length_label(length: str) -> str:
    """ "128k" of "131072", "128K" and "128k"; any other name as it is, numbers that are not whole thousands (of 1,024)
    included.
    """
    if length.isascii() and length.isdigit():
        size = int(length[:30])
        return f"{size // 1024}k" if size and size % 1024 == 0 else length
    return length[:-1] + "k" if length.endswith("K") and length[:-1].isdigit() else length
