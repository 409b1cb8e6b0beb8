import importlib.util
import re
from pathlib import Path

import pytest

from datagen.stages import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
PASSED_OVER = {"build", "dist", "runs", "node_modules", "prompts"}  # prompts are text for a model


def pages() -> list[Path]:
    found = []
    for path in sorted(ROOT.rglob("*.md")):
        parts = path.relative_to(ROOT).parts
        if not PASSED_OVER & set(parts) and not any(part.startswith(".") for part in parts):
            found.append(path)
    return found


def generator():
    spec = importlib.util.spec_from_file_location("generate_docs", ROOT / "docs" / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def prose_of(page: Path) -> str:
    return re.sub(r"^(```+).*?^\1\s*$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.+?)\s*$", prose_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_configuration_page_is_up_to_date():
    written = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert written == generator().configuration(), "run `make docs`"


def test_the_command_line_page_is_up_to_date():
    written = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert written == generator().cli(), "run `make docs`"
    assert "&#x" not in written


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page):
    for target in re.findall(r"\]\(<?([^)\s>]+)>?(?: \"[^\"]*\")?\)", prose_of(page)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), f"{page.name}: {target}"
        assert not anchor or file.suffix != ".md" or anchor in anchors(file), f"{page.name}: {target}"


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_nothing_is_left_to_fill_in(page):
    assert not re.findall(r"@@\w+@@|\bTODO\b|\bFIXME\b|\bXXX\b", page.read_text(encoding="utf-8"))


def test_the_readme_names_every_command():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in ("run", *COMMANDS, "status", "quickstart-corpus"):
        assert re.search(rf"`(longrlvr-data )?{name}( [^`]*)?`", text), name


def test_the_tests_that_hold_a_promise_exist():
    named = re.findall(r"`(test_\w+|tests/[\w/]+\.py)`", (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8"))
    sources = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "tests").rglob("test_*.py"))
    assert len(named) > 20
    for name in named:
        assert (ROOT / name).exists() if "/" in name else f"def {name}(" in sources, name
