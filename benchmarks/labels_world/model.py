"""A language model that reads prompts and errs at set rates.

All it has is the text: passages in their chunk tags, a question, the keys of the JSON that is wanted. It knows the
world's sentences by heart, so that it understands what it reads; what it may conclude depends on the passages in view
alone. Every mistake is drawn by a hash of the seed and of what is asked: the same question about the same passages is
answered the same way, and the order of requests makes no difference. The wrong answer that suggests itself is the
same in generating and in answering, as with a model that falls twice for the same thing.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .documents import World
from .facts import NUMBER, Fact
from .kinds import Plan, Question
from .rates import Rates
from .values import same, wordings

_PAIRS = Path(__file__).parents[2] / "prompts" / "grader-pairs.json"
_CHUNK = re.compile(r"<CHUNK_(\d+)>(.*?)</CHUNK_\1>", re.DOTALL)
_CITED = re.compile(r":\s*(\d+(?:,\s*\d+)*)\s*$", re.MULTILINE)
_KIND = re.compile(r"\b(multi-hop|comparison|aggregation|order in time|temporal|cause|counting)[.:]")
_KEYS = ("evidence", "rating", "answerable")  # of the JSON that tells what is wanted
GOOD, DEFECT = 9.2, 3.0  # the rating of a candidate without a defect, and what each one costs that is seen
PER_WORD, AT_MOST = 0.1, 0.6  # long answers please: points for each word beyond three
AT_LEAST = 2  # passages that are cited: so the prompt wants it


@dataclass(frozen=True, slots=True)
class Reply:
    text: str
    question: str = ""  # what it was about
    mistake: str = ""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a request shows: its passages, and the words around them."""

    passages: tuple[str, ...]
    words: str
    asked: str  # which of the keys, if any
    nth: int  # sample, and how often it was asked again: another draw each time

    @classmethod
    def read(cls, messages: list[dict[str, str]], schema: dict[str, Any] | None, sample: int) -> Prompt:
        text = messages[0]["content"]
        words = _CHUNK.sub("", text)
        properties = (schema or {}).get("properties", {})
        asked = next((k for k in _KEYS if k in properties), "") or next((k for k in _KEYS if f'"{k}"' in words), "")
        return cls(tuple(m[2] for m in _CHUNK.finditer(text)), words, asked, 1000 * (len(messages) // 2) + sample)

    def within(self, tag: str) -> str:
        return (
            self.words.rpartition(f"<{tag}>")[2].partition(f"</{tag}>")[0].strip() if f"<{tag}>" in self.words else ""
        )


class Model:
    def __init__(self, world: World, rates: Rates, seed: int = 0) -> None:
        self.world, self.rates, self.seed = world, rates, seed
        known = (pair for pairs in json.loads(_PAIRS.read_text(encoding="utf-8")).values() for pair in pairs)
        self._pairs = {(pair["question"], pair["answer"], pair["given"]): pair["same"] for pair in known}
        self._facts: dict[str, frozenset[Fact]] = {}  # by passage
        self._answers: dict[str, list[str]] = defaultdict(list)  # by what is asked for
        for question in world.questions.values():
            self._answers[question.asks].append(question.answer)

    def reply(self, messages: list[dict[str, str]], schema: dict[str, Any] | None, sample: int = 0) -> Reply:
        """Raises ValueError for a prompt that it does not understand."""
        prompt = Prompt.read(messages, schema, sample)
        if prompt.asked == "evidence":
            return self._generate(prompt)
        if pair := self._pair(prompt):
            return self._grade_pair(prompt, pair)
        question = self._question(prompt)
        if prompt.asked == "rating":
            return self._rate(prompt, question)
        if "<other_answer>" in prompt.words:
            return self._grade(prompt, question)
        if prompt.asked == "answerable" and not prompt.passages:
            return self._answer_closed(prompt, question)
        if prompt.asked == "answerable":
            answer, mistake = self._answer(prompt, question)
            return Reply(_answered(answer), question.text, mistake)
        if "<useful_chunks>" in prompt.words:
            return self._answer_in_tags(prompt, question)
        raise ValueError(f"what is asked here?\n{prompt.words[:1000]}")

    # What it sees ---------------------------------------------------------------------------------------------------

    def _question(self, prompt: Prompt) -> Question:
        lines = [line.strip() for line in prompt.words.splitlines()]
        lines.append(prompt.within("question"))
        found = next((self.world.questions[line] for line in lines if line in self.world.questions), None)
        if found is None:
            raise ValueError(f"there is no question of this world in the prompt:\n{prompt.words[:1000]}")
        return found

    def _view(self, passages: tuple[str, ...]) -> list[frozenset[Fact]]:
        """What each passage says."""
        for text in passages:
            if text not in self._facts:
                self._facts[text] = frozenset(self.world.facts_in(text))
        return [self._facts[text] for text in passages]

    def _draw(self, prompt: Prompt, *what: Any) -> random.Random:
        """Draws that depend on what is asked, and not on how the prompt is worded."""
        asked = json.dumps([self.seed, what, sorted(prompt.passages), prompt.nth])
        return random.Random(hashlib.sha256(asked.encode()).digest())

    def _errs(self, what: str, question: Question, rate: float, rng: random.Random) -> bool:
        """Whether it makes a mistake: about some questions always, if it is stubborn."""
        draw = random.Random(f"{self.seed} {what} {question.text}") if self.rates.stubborn else rng
        return draw.random() < rate

    # Writing a question ---------------------------------------------------------------------------------------------

    def _generate(self, prompt: Prompt) -> Reply:
        view = self._view(prompt.passages)
        seen = frozenset().union(*view)
        plans = {plan.question.text: plan for fact in sorted(seen) for plan in self.world.plans.get(fact, [])}
        possible = [plan for _, plan in sorted(plans.items()) if _told(plan.question, seen, counting=True)]
        if not possible:
            return Reply(json.dumps({"skip": True, "question": "", "answer": "", "evidence": []}))
        named = _KIND.search(prompt.words)
        kind = {"order in time": "temporal"}.get(named[1], named[1]) if named else ""
        rng = self._draw(prompt, "generate", kind)
        plan = next((p for p in possible if p.question.kind == kind), None) or rng.choice(possible)
        question = plan.vague if rng.random() < self.rates.vague else plan.question
        evidence = self._evidence(plan, view, rng)
        right = _told(plan.question, seen, counting=True)[0]
        wrong = self._errs("misreads", question, self.rates.wrong, rng)
        answer = self._lured(question, seen, right) if wrong else self._worded(right, question, rng)
        made = {"skip": False, "question": question.text, "answer": answer, "evidence": evidence}
        return Reply(json.dumps(made, ensure_ascii=False), question.text)

    def _evidence(self, plan: Plan, view: list[frozenset[Fact]], rng: random.Random) -> list[int]:
        """The numbers of the passages cited, where one that is needed may be missing and one be too many."""
        needed = [fact for fact in plan.facts if any(fact in facts for facts in view)]
        miss, extra = rng.random() < self.rates.miss, rng.random() < self.rates.extra
        left_out = {rng.choice(needed)} if miss else set()
        cited = {
            rng.choice([i for i, facts in enumerate(view) if fact in facts]) for fact in needed if fact not in left_out
        }
        tempting = {lure.fact for lure in plan.question.lures}
        others = [i for i, facts in enumerate(view) if i not in cited and not facts & left_out]
        others.sort(key=lambda i: (not view[i] & tempting, rng.random()))
        wanted = max(len(cited) + extra, AT_LEAST)
        return sorted([*cited, *others[: wanted - len(cited)]])

    # Rating it ------------------------------------------------------------------------------------------------------

    def _rate(self, prompt: Prompt, question: Question) -> Reply:
        view, given = self._view(prompt.passages), prompt.within("given_answer")
        found = _CITED.findall(prompt.words.rpartition("</given_answer>")[2])
        if not given or not found:
            raise ValueError(f"which answer is to be rated, and which passages does it name?\n{prompt.words[:2000]}")
        cited = [view[int(number)] for number in found[0].split(",")]
        enough = bool(_told(question, frozenset().union(*cited)))
        spared = any(_told(question, frozenset().union(*cited[:i], *cited[i + 1 :])) for i in range(len(cited)))
        told = _told(question, frozenset().union(*view), counting=True)
        defects = {
            "a chunk is missing": not enough,
            "a chunk is too many": spared,
            "the answer is wrong": not any(same(given, right, question.asks) for right in told),
            "the question is vague": question.rival is not None,
        }
        rng = self._draw(prompt, "rate", question.text, given, found[0])
        noticed = {name for name, there in defects.items() if rng.random() < self.rates.notice and there}
        overlooked = [name for name, there in defects.items() if there and name not in noticed]
        length = min(AT_MOST, PER_WORD * max(0, len(given.split()) - 3))
        rating = GOOD + length - DEFECT * len(noticed) + rng.gauss(0, self.rates.noise)
        made = {"reason": "; ".join(sorted(noticed)) or "nothing is wrong", "rating": _in_steps(rating)}
        return Reply(json.dumps(made), question.text, "overlooked: " + ", ".join(overlooked) if overlooked else "")

    # Answering it ---------------------------------------------------------------------------------------------------

    def _answer(self, prompt: Prompt, question: Question) -> tuple[str | None, str]:
        """(the answer, or None if it takes it for one that cannot be given; the mistake in that)."""
        seen = frozenset().union(*self._view(prompt.passages))
        rng = self._draw(prompt, "answer", question.text)
        told = _told(question, seen)
        if len(told) > 1:  # it sees that the question fits two things, or takes the one or the other
            return rng.choice([*told, None]), ""
        if told and not self._errs("misreads", question, self.rates.slip, rng):
            return self._worded(told[0], question, rng), ""
        if told:
            return (None, "slip") if rng.random() < 0.5 else (self._lured(question, seen, told[0]), "slip")
        counted = _told(question, seen, counting=True)
        if counted and rng.random() < self.rates.partial:
            return counted[0], ""
        if self._errs("guesses", question, self.rates.guess, rng):
            guess = self._lured(question, seen)
            return guess, "lucky guess" if guess == question.answer else "guess"
        return None, ""

    def _answer_closed(self, prompt: Prompt, question: Question) -> Reply:
        rng = self._draw(prompt, "closed book", question.text)
        famous = random.Random(f"{self.seed} famous {question.text}").random() < self.rates.famous
        if famous and rng.random() < 0.85:
            return Reply(_answered(self._worded(question.answer, question, rng)), question.text)
        if rng.random() < self.rates.closed:
            return Reply(_answered(self._lured(question, frozenset())), question.text, "guess")
        return Reply(_answered(None), question.text)

    def _answer_in_tags(self, prompt: Prompt, question: Question) -> Reply:
        """From a whole document, in the form that a policy is trained to write."""
        view = self._view(prompt.passages)
        lost = self._draw(prompt, "lost", question.text).random() < self.rates.lost
        answer, mistake = (None, "lost") if lost else self._answer(prompt, question)
        proof = question.proofs[0]
        cited = " ".join(f"<CHUNK_{i}>" for i, facts in enumerate(view) if facts & proof)
        text = f"<useful_chunks>\n{cited}\n</useful_chunks>\n\n<answer>\n{answer or 'unknown'}\n</answer>"
        return Reply(text, question.text, mistake)

    def _grade(self, prompt: Prompt, question: Question) -> Reply:
        reference, given = prompt.within("reference_answer"), prompt.within("other_answer")
        alike = same(reference, given, question.asks)
        errs = self._draw(prompt, "grade", question.text, reference, given).random() < self.rates.grade
        mistake = ("took two answers for the same" if not alike else "took the same for two answers") if errs else ""
        return Reply(_graded(reference, given, alike != errs), question.text, mistake)

    def _pair(self, prompt: Prompt) -> tuple[str, str, str] | None:
        """Question, reference and other answer, if they are of those that a grader is tried out with."""
        found = (prompt.within("question"), prompt.within("reference_answer"), prompt.within("other_answer"))
        return found if found in self._pairs else None

    def _grade_pair(self, prompt: Prompt, pair: tuple[str, str, str]) -> Reply:
        errs = self._draw(prompt, "grade", *pair).random() < self.rates.grade
        return Reply(_graded(pair[1], pair[2], self._pairs[pair] != errs))

    # Words ----------------------------------------------------------------------------------------------------------

    def _worded(self, value: str, question: Question, rng: random.Random) -> str:
        return rng.choice(wordings(value, question.asks)) if rng.random() < self.rates.reword else value

    def _lured(self, question: Question, seen: frozenset[Fact], right: str = "") -> str:
        """The answer that suggests itself, the same one whenever the same facts are in view; never `right`."""
        there = [lure.value for lure in question.lures if lure.fact is None or lure.fact in seen]
        pick = random.Random(f"{self.seed} lure {question.text}")
        if options := sorted({value for value in there if value != right}):
            return pick.choice(options)
        if question.asks == NUMBER:
            return str(int(question.answer) + pick.randint(1, 9))
        return pick.choice([value for value in self._answers[question.asks] if value not in (right, question.answer)])


def _told(question: Question, seen: frozenset[Fact], counting: bool = False) -> list[str]:
    """What the facts in view settle, one answer for each reading of the question. `counting`: what is to be counted is
    taken for complete as soon as there are two of it.
    """
    told = [reading.answer for reading in question.readings if any(proof <= seen for proof in reading.proofs)]
    if counting and not told and question.kind == "counting" and len(question.proofs[0] & seen) > 1:
        return [str(len(question.proofs[0] & seen))]
    return told


def _answered(answer: str | None) -> str:
    made = {"reason": "", "answerable": answer is not None, "answer": answer or ""}
    return json.dumps(made, ensure_ascii=False)


def _graded(reference: str, given: str, alike: bool) -> str:
    return json.dumps({"reference": reference, "other": given, "same": alike}, ensure_ascii=False)


def _in_steps(rating: float) -> float:
    """Models rate in halves."""
    return min(10.0, max(0.0, round(2 * rating) / 2))
