"""A summary as one self-contained HTML page: no script, nothing loaded from elsewhere, every text escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from string import Template
from typing import Any

from datagen.console import plain
from datagen.evaluate.differing import Differing
from datagen.evaluate.told import EVIDENCE, MEANING, breakdowns, cells, headings, percent, sentences

MOST_ROWS = 300  # that differ; --rows writes all of them
MOST_CHARACTERS = 600  # of a text

_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root { color-scheme: light dark; --ink: #1d1f23; --soft: #63676f; --line: #d9dce1; --paper: #fff; --strict: #2f6fbd;
  --published: #c9a24b; --band: #f5f6f8; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --soft: #9aa0a8; --line: #3a3e45; --paper: #16181c;
  --strict: #6ea8ee; --published: #d9b764; --band: #1f2227; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.2rem; max-width: 66rem; color: var(--ink); background: var(--paper);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.4rem; margin: 0 0 .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 2rem 0 .4rem; }
p, li { max-width: 46rem; }
.soft { color: var(--soft); font-size: .9rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; padding-left: 0; white-space: normal; overflow-wrap: anywhere;
  min-width: 8rem; }
thead th { font-weight: 600; color: var(--soft); }
tr.group th { padding-top: 1rem; color: var(--soft); font-weight: 600; }
.bar { display: block; height: 3px; width: 100%; background: var(--line); margin-top: 2px; }
.bar i { display: block; height: 3px; }
.strict i { background: var(--strict); }
.published i { background: var(--published); }
ul { list-style: none; padding: 0; margin: 0; }
li b { display: inline-block; min-width: 4rem; text-align: right; padding-right: .7rem; font-weight: 600;
  font-variant-numeric: tabular-nums; }
details { border-top: 1px solid var(--line); padding: .5rem 0; }
summary { cursor: pointer; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: 6.5rem 1fr; gap: .2rem .8rem; margin: .5rem 0; padding: .7rem;
  background: var(--band); }
dt { color: var(--soft); }
dd { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; }
@media (max-width: 34rem) { body { padding: .8rem; } dl { grid-template-columns: 1fr; } dt { margin-top: .3rem; } }
</style>
</head>
<body>
<h1>$title</h1>
<p class="soft">$meaning</p>
<div class="wide"><table>
<thead><tr><th scope="col"></th>$headings</tr></thead>
<tbody>
$shares
</tbody>
</table></div>
$parts
$differing
</body>
</html>
""")


def render(title: str, found: dict[str, Any], differing: Sequence[Differing]) -> str:
    """The page of a summary, with the rows that differ, the first MOST_ROWS of them."""
    rows = [_share_row("all", found, found, "th")]
    names = headings(found)
    for name, groups in breakdowns(found):
        rows.append(f'<tr class="group"><th colspan="{len(names) + 1}" scope="rowgroup">by {_text(name)}</th></tr>')
        rows += [_share_row(label, of, found) for label, of in groups.items()]
    parts = [f"<h2>{_text(heading)}</h2>\n<ul>\n{''.join(map(_line, told))}</ul>" for heading, told in sentences(found)]
    return _PAGE.substitute(
        title=_text(title),
        meaning=_text(MEANING),
        headings="".join(f'<th scope="col">{_text(heading)}</th>' for heading in names),
        shares="\n".join(rows),
        parts="\n".join(parts),
        differing=_differing(differing),
    )


def _share_row(label: str, of: dict[str, Any], found: dict[str, Any], cell: str = "td") -> str:
    told = dict(zip(headings(found), map(_text, cells(of, found)), strict=True))
    strict, published = told.pop("strict"), told.pop("as published")
    evidence = [text for name, text in told.items() if name == EVIDENCE]
    counts = [text for name, text in told.items() if name != EVIDENCE]
    plainly = "".join(f"<{cell}>{text}</{cell}>" for text in (_text(label), *counts))
    bars = [
        f'<{cell}>{text}<span class="bar {name}"><i style="width:{100 * (share or 0):.1f}%"></i></span></{cell}>'
        for name, text, share in (("strict", strict, of["strict"]), ("published", published, of["as_published"]))
    ]
    last = "".join(f"<{cell}>{text}</{cell}>" for text in evidence)
    return f"<tr>{plainly}{''.join(bars)}{last}</tr>"


def _line(line: str) -> str:
    figure, gap, rest = line.partition("  ")
    return f"<li><b>{_text(figure)}</b>{_text(rest)}</li>\n" if gap else f"<li>{_text(line)}</li>\n"


def _differing(differing: Sequence[Differing]) -> str:
    if not differing:
        return ""
    shown = "\n".join(map(_details, differing[:MOST_ROWS]))
    capped = f"The first {MOST_ROWS:,} of {len(differing):,}; --rows writes all of them."
    note = f'<p class="soft">{capped}</p>' if len(differing) > MOST_ROWS else ""
    return f"<h2>The rows that differ</h2>\n{note}\n{shown}"


def _details(row: Differing) -> str:
    facts = {
        "question": row.question,
        "gold": " | ".join(row.gold),
        "answer": row.answer if row.answer is not None else "",
        "response": _end(row.response) if row.answer is None else "",
        "letter": row.named or "",
        "verdicts": f"strict {percent(row.strict)}, as published {percent(row.as_published)}",
        "where": f"{row.file}, row {row.row}",
    }
    told = "".join(f"<dt>{name}</dt><dd>{_text(_cut(value))}</dd>" for name, value in facts.items() if value)
    head = f"{_text(row.item_id[:80])}: {_text(row.reason)}"
    return f"<details><summary>{head}</summary><dl>{told}</dl></details>"


def _cut(text: str) -> str:
    more = len(text) - MOST_CHARACTERS
    return text if more <= 0 else f"{text[:MOST_CHARACTERS]}… ({more:,} characters more)"


def _end(text: str) -> str:
    """The end of a response, where its sections should be."""
    return text if len(text) <= MOST_CHARACTERS else f"… {text[-MOST_CHARACTERS + 2 :]}"


def _text(text: str) -> str:
    return escape(plain(text))
