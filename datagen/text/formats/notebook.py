"""Jupyter notebooks as text: the cells in their order, prose and code as they are written, without their outputs.

Source: nbformat 4 (and 3, which keeps its cells in worksheets).
"""

from __future__ import annotations

import json
from typing import Any

from datagen.text.formats.extracted import Block, Extracted, Limits, Unreadable, joined


def extract(raw: bytes, limits: Limits) -> Extracted:
    """The text of a notebook. Raises Unreadable where it is none."""
    limits.check(len(raw))
    try:
        notebook = json.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError) as e:
        raise Unreadable("damaged file", f"no JSON, which a notebook is: {e}") from None
    cells = _cells(notebook)
    if cells is None:
        raise Unreadable("damaged file", "JSON without a list of cells: no notebook")
    blocks = [Block(text) for cell in cells if (text := _source(cell))]
    text, _ = joined(blocks)
    found: Any = notebook.get("metadata") if isinstance(notebook, dict) else None
    language: Any = found.get("language_info") if isinstance(found, dict) else None
    name = language.get("name") if isinstance(language, dict) else None
    return Extracted(text, "cells 1", more={"language": name} if isinstance(name, str) else {})


def _cells(notebook: Any) -> list[Any] | None:
    if not isinstance(notebook, dict):
        return None
    if isinstance(notebook.get("cells"), list):
        return notebook["cells"]
    sheets = notebook.get("worksheets")
    if isinstance(sheets, list) and all(isinstance(s, dict) and isinstance(s.get("cells"), list) for s in sheets):
        return [cell for sheet in sheets for cell in sheet["cells"]]
    return None


def _source(cell: Any) -> str:
    if not isinstance(cell, dict):
        return ""
    found = cell.get("source", cell.get("input", ""))
    text = "".join(line for line in found if isinstance(line, str)) if isinstance(found, list) else found
    return text.replace("\r\n", "\n").strip("\n") if isinstance(text, str) else ""
