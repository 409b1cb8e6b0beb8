"""A story as text for a person."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console

from datagen.checks import judging
from datagen.inspect.document import DocumentStory, StageRows
from datagen.inspect.story import Line, Step, Story
from datagen.records import Dropped

Say = Callable[..., None]  # a line, and its style

SHOWN = 240  # characters of a passage or a question
ROWS = 3  # that left a stage for the same reason


def show(story: Story | DocumentStory, console: Console) -> None:
    """Print a story for a person."""

    def say(text: str, style: str = "") -> None:
        console.print(text, style=style, markup=False, soft_wrap=True)

    if isinstance(story, DocumentStory):
        _show_document(story, say)
    else:
        _show_row(story, say)


def _show_document(story: DocumentStory, say: Say) -> None:
    say(story.id, "bold")
    size = f"{_counted(story.n_chunks, 'chunk')}, {_counted(story.n_tokens, 'token')}"
    say(f"document of {size}, from {story.source}\n" if story.source else "document that was set aside\n")
    for stage in story.stages:
        say(f"{stage.stage:10}{_kept(stage)}")
        reasons: dict[str, list[Dropped]] = {}
        for row in stage.left:
            reasons.setdefault(f"{row.status}: {row.reason}", []).append(row)
        for reason, rows in sorted(reasons.items(), key=lambda item: -len(item[1])):
            say(f"{'':10}{reason}, {_counted(len(rows), rows[0].unit)}")
            for row in rows[:ROWS]:
                name = "" if row.row_id == story.doc_id else f"{row.row_id}: "
                if name or row.detail:
                    say(f"{'':12}{name}{_short(row.detail)}")
            if len(rows) > ROWS:
                say(f"{'':12}… and {len(rows) - ROWS:,} more")
    say(f"\n{story.summary}")


def _kept(stage: StageRows) -> str:
    if not stage.done:
        return "did not come to it yet"
    if not stage.rows:
        return "nothing of it came here"
    return "; ".join(
        f"{entry['kept']:,} of {_counted(entry['in'], unit)}"
        if entry["kept"] < entry["in"]
        else _counted(entry["in"], unit)
        for unit, entry in stage.rows.items()
    )


def _counted(n: int, unit: str) -> str:
    return f"{n:,} {unit}" + "s" * (n != 1)


def _show_row(story: Story, say: Say) -> None:
    made = story.candidate
    say(f"{story.id}", "bold")
    if made:
        say(f"{made['question_type']} question {made['sample']} of {made['cluster_id']}, by {made['generator']}")
        say(f"\n{made['question']}\n")
        say(f"answer    {made['answer']}")
    if story.cluster:
        cluster = story.cluster
        chunks = ", ".join(map(str, cluster["chunk_indices"]))
        say(f"cluster   chunks {chunks}; cohesion {cluster['cohesion']:.2f}, spread {cluster['spread']:.2f}")
    for passage in story.evidence:
        say(f"chunk {passage.chunk:<4}{passage.role and f'{passage.role}: '}{_short(passage.text)}")
    say("")
    for step in story.steps:
        say(f"{step.stage:10}{_outcome(step)}")
        for line in _findings(story, step.stage):
            say(f"{'':10}{line}")
    if story.other:
        say(f"{'':10}{_line(story.other)}")
    if story.others:
        say(f"\n{'its candidates' if story.unit == 'cluster' else 'the other candidates of the document'}")
        width = max(len(line.qa_id) for line in story.others)
        for line in sorted(story.others, key=lambda line: (-(line.rating or 0), line.qa_id)):
            say(f"{line.qa_id:{width}}  {_rated(line):10}  {line.decision}")


def _outcome(step: Step) -> str:
    if step.outcome is None:
        return "did not come to it"
    return f"{step.outcome}{step.reason and f': {step.reason}'}{step.detail and f' ({step.detail})'}"


def _findings(story: Story, stage: str) -> list[str]:
    if stage == "judge" and (found := story.judgement):
        figures = [check.figure for check in judging.bundled() if check.figure]
        shares = [f"{of.label}: {found[of.column]:.0%}" for of in figures if found[of.column] is not None]
        rated = f"rated {found['rating']:.1f}" + (found["rating_reason"] and f": {found['rating_reason']}")
        return [rated, f"passed {', '.join(found['checks'])}", *shares]
    if stage == "select" and (found := story.selection):
        shown = f"chunks {found['first_chunk']} to {found['last_chunk']}, {found['n_tokens']:,} tokens"
        return [f"in {found['split']}, from a prompt of {shown}"]
    return []


def _line(line: Line) -> str:
    return f"{line.qa_id}, {_rated(line)}, {line.decision}: {_short(line.question)}"


def _rated(line: Line) -> str:
    return "not rated" if line.rating is None else f"rated {line.rating:.1f}"


def _short(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= SHOWN else words[: SHOWN - 1] + "…"
