"""What `make` installs: files that are known by their hashes, in the versions of constraints.txt."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PINS = {"run": "constraints.txt", "dev": "constraints.txt", "vllm": "constraints-vllm.txt"}


def pins(text: str) -> set[str]:
    found = re.findall(r"^([\w.-]+)==([^ \n]+)", text, re.MULTILINE)
    return {f"{name.lower().replace('_', '-')}=={version}" for name, version in found}


@pytest.mark.parametrize("name", PINS)
def test_every_file_has_its_hashes_and_no_address(name):
    text = (ROOT / "locks" / f"{name}.lock").read_text()
    blocks = re.split(r"\n(?=[^ #\n])", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).strip())
    assert len(blocks) > 50
    assert [block for block in blocks if not re.search(r"--hash=sha256:[0-9a-f]{64}", block)] == []
    assert "://" not in text
    assert "--index" not in text
    assert pins(text) <= pins((ROOT / PINS[name]).read_text())


@pytest.mark.parametrize("name", ["run", "dev"])
def test_torch_is_left_to_the_makefile(name):
    text = (ROOT / "locks" / f"{name}.lock").read_text()
    assert not re.search(r"^(torch|triton|nvidia|cuda)\b", text, re.MULTILINE)
