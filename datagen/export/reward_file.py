"""`longrlvr_reward.py`: the reward as one file of the standard library, made of the modules that this package runs.

The modules are written one after the other, without what they import of each other: so a name may stand in one of them
only. Annotations are no strings: trainers load the file without making its module known, and dataclasses would look
there for what a string means.
"""

from __future__ import annotations

import ast
import hashlib
from pathlib import Path
from pprint import pformat

from datagen import __version__
from datagen.export.shipped import baked

NAME = "longrlvr_reward.py"
PARTS = (
    *(
        "grounding/fences.py",
        "grounding/tags.py",
        "grounding/answers.py",
        "grounding/verify.py",
        "grounding/rewards.py",
    ),
    *("llm/objects.py", "export/shipped/judging.py", "export/shipped/hooks.py"),
)
PACKAGE = Path(__file__).parent.parent
HEADER = '''"""The reward of LongRLVR (arXiv 2603.02146), by the standard library alone: see `reward`.

Written by longrlvr-data {version}; sha256 of what follows this text: {digest}
"""
'''


def source(verifier: str) -> str:
    """The file's text. `verifier` is what it verifies answers by where a trainer names nothing else."""
    imports: dict[str, set[str]] = {}
    parts, names = [_constants(verifier)], {}
    for part in PARTS:
        text, imported, defined = _part(PACKAGE / part)
        if twice := defined & names.keys():
            raise AssertionError(f"{part} and {names[min(twice)]} both define {min(twice)}")
        names |= dict.fromkeys(defined, part)
        for module, wanted in imported.items():
            imports.setdefault(module, set()).update(wanted)
        parts.append(f"# {'-' * 20} {part}\n\n{text}")
    body = "\n\n".join([_imports(imports), *parts])
    digest = hashlib.sha256(body.encode()).hexdigest()
    return HEADER.format(version=__version__, digest=digest) + "\n" + body


def _constants(verifier: str) -> str:
    prompt, schema = baked.GRADER_PROMPT, pformat(baked.GRADER_SCHEMA, width=100, sort_dicts=False)
    if "\\" in prompt or "'''" in prompt:
        raise AssertionError("the grader's prompt cannot stand between three quotation marks")
    return f"VERIFIER = \"{verifier}\"\nGRADER_PROMPT = '''\\\n{prompt}'''\nGRADER_SCHEMA = {schema}\n"


def _imports(wanted: dict[str, set[str]]) -> str:
    """The lines that import these names of these modules, or a module itself where no name is wanted."""
    whole = [f"import {module}" for module, names in wanted.items() if not names]
    return "\n".join(
        sorted(whole) + [f"from {m} import {', '.join(sorted(names))}" for m, names in sorted(wanted.items()) if names]
    )


def _part(file: Path) -> tuple[str, dict[str, set[str]], set[str]]:
    """A module's text without its imports, what it imports of the standard library, and the names it defines."""
    text = file.read_text(encoding="utf-8")
    lines = text.splitlines()
    imported, defined = dict[str, set[str]](), set[str]()
    for node in ast.parse(text).body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            if isinstance(node, ast.Import):
                imported |= {alias.name: set[str]() for alias in node.names}
            elif not node.level and (module := node.module or "").split(".")[0] not in ("datagen", "__future__"):
                imported.setdefault(module, set()).update(alias.name for alias in node.names)
            assert node.end_lineno
            lines[node.lineno - 1 : node.end_lineno] = [""] * (node.end_lineno - node.lineno + 1)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            defined.add(node.name)
        elif isinstance(node, ast.Assign):
            defined |= {name.id for t in node.targets for name in ast.walk(t) if isinstance(name, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            defined.add(node.target.id)
    return _closed_up(lines), imported, defined


def _closed_up(lines: list[str]) -> str:
    """The lines, with no more than two empty ones in a row."""
    kept = [line for i, line in enumerate(lines) if line or any(lines[max(0, i - 2) : i])]
    return "\n".join(kept).strip() + "\n"
