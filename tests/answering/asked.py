"""Documents to ask about, and a server that says what it is told to."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.openai_server import Server, serve
from tests.servers.settings import Body, Settings

BOOK = "\n\n".join(
    f"Chapter {i}\n\n"
    + " ".join(f"In {1700 + i} the ship number {i} put to sea for the {n}th time." for n in range(12))
    for i in range(200)
)
BOOK += "\n\nThe lighthouse was built by Ada Brunel, who had come from Penzance in 1861.\n\n" + BOOK[:20_000]
MARKDOWN = """# The plan

| what | when |
| --- | --- |
| foundations | 3 May |
| roof | 12 September |

## Who

The roof is *Miriam Okafor's*: see `plans/roof.md`.
"""
JAPANESE = "\n".join(f"第{i}章。その年、{i}番目の船は静かに港を出て行った。" * 8 for i in range(60))
JAPANESE += "\n灯台は明治三十八年に田中静子が建てたものである。\n" + JAPANESE[:4000]


def reply(cited: str, answer: str, reasoning: str = "Let me look.") -> str:
    return f"{reasoning}\n<useful_chunks>\n{cited}\n</useful_chunks>\n\n<answer>\n{answer}\n</answer>"


def citing(words: str, answer: str) -> Settings:
    """A server whose model cites the chunk, of those that it is shown, in which these words stand."""

    def say(body: Body) -> str:
        shown = re.findall(r"<CHUNK_(\d+)>(.*?)</CHUNK_\1>", body["messages"][-1]["content"], re.DOTALL)
        return reply(" ".join(f"<CHUNK_{i}>" for i, text in shown if words in text), answer)

    return Settings(reply=say)


@contextmanager
def answering(given: str | Settings) -> Iterator[Server]:
    """A server that always says the same, or is set so."""
    with serve(Settings(reply=given) if isinstance(given, str) else given) as server:
        yield server


def written(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file
