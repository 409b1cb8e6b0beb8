"""Load, render and hash a prompt file: Markdown with variables written {{name}}.

Values are never scanned for variables again, so a document full of braces stays as it is. They are neutralised: none
closes a fence of the prompt, or a turn of the chat. `Fenced` text is inserted as it stands.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path

from datagen import resources
from datagen.errors import ConfigError
from datagen.grounding import fences
from datagen.grounding.fences import Fenced

_VARIABLE = re.compile(r"\{\{([a-z_][a-z0-9_]*)\}\}")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt file's text and what is known of it."""

    name: str  # the file's name, without its folder: nothing here tells one machine from another
    text: str
    variables: frozenset[str]
    digest: str  # sha256 of the text, in hex

    @property
    def literals(self) -> list[str]:
        """The text between the variables."""
        return _VARIABLE.split(self.text)[::2]


def load(name_or_path: str | Path) -> Prompt:
    """A bundled prompt by name, or any file. Raises ConfigError when it is missing, unreadable or malformed."""
    file = resources.path("prompts", name_or_path)
    try:
        text = file.read_text(encoding="utf-8-sig").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError(f"{file}: cannot be read as a prompt: {e}") from e
    # A mistyped variable such as {{ Question }} would otherwise reach the model as it stands. It is blanked, not cut
    # out, so that the braces on either side of a good one never meet.
    rest = _VARIABLE.sub(lambda match: " " * len(match[0]), text)
    if (at := rest.find("{{")) >= 0:
        line = text.count("\n", 0, at) + 1
        raise ConfigError(
            f"{file}:{line}: '{{{{' opens no variable; write one as {{{{name}}}}, in lower case, unspaced"
        )
    digest = hashlib.sha256(text.encode("utf-8")).hexdigest()
    return Prompt(file.name, text, frozenset(_VARIABLE.findall(text)), digest)


def load_task(name_or_path: str | Path) -> Prompt:
    """The prompt of a dataset's rows. Raises ConfigError unless it shows `{{context}}` and `{{question}}`, and no more.

    A row takes its place among the tokens of a prompt once: each of the two must stand there once.
    """
    prompt = load(name_or_path)
    if sorted(_VARIABLE.findall(prompt.text)) != ["context", "question"]:
        raise ConfigError(
            f"{name_or_path}: the prompt of the rows needs {{{{context}}}} and {{{{question}}}}, once each, and no "
            "other variable: see `longrlvr-data show prompt task`"
        )
    return prompt


def render(prompt: Prompt, **values: str | int) -> str:
    """The prompt with every variable replaced by its neutralised value, or by one that is `Fenced`, as it stands.

    Raises ConfigError when values and variables are not the same set.
    """
    if missing := prompt.variables - values.keys():
        raise ConfigError(f"prompt {prompt.name}: no value is given for its {_list(missing)}")
    if unknown := values.keys() - prompt.variables:
        raise ConfigError(f"prompt {prompt.name}: it has no {_list(unknown)}; its variables: {_list(prompt.variables)}")
    own = fences.names(prompt.text)
    shown = {name: fences.without(_fenced(value), own) for name, value in values.items()}
    return _VARIABLE.sub(lambda match: shown[match[1]], prompt.text)


def _fenced(value: str | int) -> Fenced:
    return value if isinstance(value, Fenced) else fences.neutralise(str(value))


def _list(names: Set[str]) -> str:
    return ", ".join(f"{{{{{name}}}}}" for name in sorted(names)) or "none"
