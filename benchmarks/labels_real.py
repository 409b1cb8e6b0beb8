"""How right are the judge's checks when the model is real? Candidates on real text, written by hand, of known truth.

    python benchmarks/labels_real.py                    what was recorded, in seconds
    python benchmarks/labels_real.py --base-url http://localhost:8080/v1 --model NAME      a server is asked
    python benchmarks/labels_real.py --estimate         what that would take; nobody is asked

90 candidates in English, French and German, each with passages of at most 400 tokens: good ones; with a wrong answer;
with evidence missing, too much or wrong; answerable without the document; ambiguous; answered by another passage, too.
Every check is made by itself, by the judge's own functions, where its right verdict is known. The grader is asked about
108 pairs of answers besides, without the help of strings. Two arms: the judge's prompts as they were before they were
measured this way (labels_real/before/), and as they are. As they were, they were asked about the English candidates and
all pairs.

right, wrong       a check kept what it should keep and rejected what it should reject, or did not. `necessity` is right
                   about superfluous evidence if it takes out that and nothing else
unreadable         no reply could be read, however often it was asked for

A server that is asked is asked for everything once: a run that is killed goes on where it was. To keep a recording,
move it and the outcomes of the arm "before" from the folder of replies to labels_real/. The text is the project's own
and its places are invented: no model knows them from elsewhere.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from labels_real import recording, report
from labels_real.asked import ARMS, Ask, Outcome, everything
from labels_real.data import CHECKS, LANGUAGES, pairs, rows, third
from labels_real.ideal import Counted, Ideal

from datagen.checks.asking import GRADE
from datagen.errors import UserError

MODEL = "qwen2.5-coder-1.5b-instruct"
CHARS_PER_TOKEN = 3.8  # of these requests, by that model's tokenizer; 3.0 to 3.1 in the French and German chapters
READS, WRITES = 52.0, 13.5  # tokens a second: that model on two cores


def estimate(asks: Sequence[Ask], reads: float, writes: float) -> None:
    """What it takes if the model makes no mistake, by arm."""
    for arm in asks[0].configs:
        counted = Counted(Ideal(rows(), pairs()))
        asyncio.run(_run([replace(ask, configs={arm: ask.configs[arm]}) for ask in asks], counted))
        sent, received = counted.sent / CHARS_PER_TOKEN, counted.received / CHARS_PER_TOKEN
        minutes = (sent / reads + received / writes) / 60
        asked = ", ".join(f"{name} {n:,}" for name, n in sorted(counted.requests.items()))
        print(
            f"{arm}: {counted.requests.total():,} requests ({asked}), {sent:,.0f} tokens of prompts and "
            f"{received:,.0f} of replies: {minutes:.0f} minutes at {reads:g} and {writes:g} tokens/s, without a cache. "
            f"A model that words its answers otherwise is asked for up to {counted.answers:,} comparisons more"
        )


async def _run(asks: Sequence[Ask], counted: Counted) -> None:
    for ask in asks:
        await ask.begin(counted)


def asked_live(asks: Sequence[Ask], model: str, folder: Path) -> list[Outcome]:
    """Ask the server; the recording and the outcomes are beside its replies in the end. Raises UserError."""
    replies = folder / model.replace("/", "-")
    outcomes = recording.live(asks, replies)
    recording.pack(asks, replies, file := recording.file_for(model, folder))
    for arm in asks[0].configs:
        of = [outcome for outcome in outcomes if outcome.arm == arm]
        recording.save(of, recording.outcomes_file(arm, model, folder))
    print(f"recorded in {file}: `--recording {file}` reads it again")
    return outcomes


def recorded(asks: Sequence[Ask], args: argparse.Namespace) -> list[Outcome]:
    """What the recording says; of the prompts as they were, the outcomes of then where they were kept.

    Raises UserError.
    """
    file, outcomes, configs = args.recording or recording.file_for(args.model), [], dict(asks[0].configs)
    kept = recording.outcomes_file("before", args.model, file.parent)
    if "before" in configs and kept.exists():
        outcomes = recording.load(asks, kept)
        configs.pop("before")
    return outcomes + (recording.replay([replace(ask, configs=configs) for ask in asks], file) if configs else [])


def show(arm: str, outcomes: Sequence[Outcome]) -> None:
    print(f"\nprompts {'as they were' if arm == 'before' else 'as they are'}")
    for table in (report.checks_table, report.kinds_table, report.grader_table):
        if len(lines := table(outcomes)) > 1:
            print("\n" + "\n".join(lines))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base-url", help="a server with an OpenAI-compatible API; without one, the recording is read")
    parser.add_argument("--model", default=MODEL, help="its name on the server (default: %(default)s)")
    parser.add_argument("--api-key-env", help="the environment variable that holds the server's key")
    parser.add_argument("--concurrency", type=int, default=1, help="requests at once (default: %(default)s)")
    parser.add_argument("--timeout", type=float, default=600, help="seconds until an attempt is given up")
    parser.add_argument("--arm", choices=[*ARMS, "both"], default="now", help="which prompts (%(default)s)")
    parser.add_argument("--languages", nargs="+", choices=LANGUAGES, default=list(LANGUAGES))
    parser.add_argument("--checks", nargs="+", choices=[*CHECKS, GRADE], default=[*CHECKS, GRADE])
    parser.add_argument("--quick", action="store_true", help="a third of it, drawn by --seed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--markdown", action="store_true", help="print the documentation's table, and nothing else")
    parser.add_argument("--estimate", action="store_true", help="print what it takes, and ask nobody")
    parser.add_argument("--reads", type=float, default=READS, help="prompt tokens/s of the estimate (%(default)s)")
    parser.add_argument("--writes", type=float, default=WRITES, help="reply tokens/s of the estimate (%(default)s)")
    parser.add_argument("--folder", type=Path, default=Path("runs/labels_real"), help="for replies (%(default)s)")
    parser.add_argument("--recording", type=Path, help="the recording to read; default: the model's, in labels_real/")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    of, asked = rows(args.languages), pairs(args.languages)
    if args.quick:
        of, asked = third(of, args.seed), third(asked, args.seed)
    settings: dict[str, Any] = {"engine.model": args.model, "engine.timeout": args.timeout}
    if args.base_url:
        endpoint = {"base_url": args.base_url, "max_concurrency": args.concurrency, "api_key_env": args.api_key_env}
        settings["engine.endpoints"] = [endpoint]
    arms = ARMS if args.arm == "both" else (args.arm,)
    asks = everything(arms, of, asked, args.checks, settings)
    if args.estimate or args.base_url:
        estimate(asks, args.reads, args.writes)
    if args.estimate:
        return
    try:
        outcomes = asked_live(asks, args.model, args.folder) if args.base_url else recorded(asks, args)
    except UserError as e:
        sys.exit(str(e))
    by_arm = {arm: [outcome for outcome in outcomes if outcome.arm == arm] for arm in arms}
    if args.markdown:
        print("\n".join(report.markdown(*by_arm.values())))
        return
    for arm in arms:
        show(arm, by_arm[arm])
    summaries = {arm: report.summary(by_arm[arm], asked) for arm in arms}
    found = {"benchmark": "labels_real", "model": args.model, "candidates": dict(Counter(row.kind for row in of))}
    if "before" in summaries:
        found["before"] = summaries["before"]
    print(json.dumps(found | summaries.get("now", {}), ensure_ascii=False))


if __name__ == "__main__":
    main()
