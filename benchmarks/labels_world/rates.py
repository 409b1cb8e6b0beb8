"""How often the simulated model errs. Each share is drawn on its own, by a hash of what is asked.

At the level `stubborn` it errs as often as at `moderate`, but about the same questions again and again: what it guesses
without the evidence it guesses whatever is in view, and what it got wrong when it wrote the question it may well get
wrong when it answers it. That is the worst case for checks that ask the same model several times.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rates:
    # Of the candidates it writes
    miss: float = 0.0  # one of the chunks that are needed is not cited
    extra: float = 0.0  # one that is not needed is
    wrong: float = 0.0  # the answer is another one, mostly what is said of a similar thing
    vague: float = 0.0  # the question fits two things
    # Of the answers it gives
    slip: float = 0.0  # all that is needed is in view, and yet it is wrong, or says that it cannot tell
    guess: float = 0.0  # something is missing, and yet it answers
    closed: float = 0.0  # it answers without having seen anything
    # Of the comparisons of two answers
    grade: float = 0.0  # it takes what is the same for another thing, or the other way round
    # Of the ratings, from 0 to 10
    notice: float = 1.0  # a defect is seen, each for itself
    noise: float = 0.2  # standard deviation, in points
    stubborn: bool = False  # mistakes in writing and answering depend on the question alone
    # Habits, at every level
    reword: float = 0.3  # a right answer is put in other words
    partial: float = 0.7  # what is to be counted is counted from what is in view, complete or not
    famous: float = 0.03  # of the questions: known without the document
    lost: float = 0.3  # of the answers from a whole document: it does not find what it needs


#                  miss  extra wrong vague slip   guess closed grade notice noise stubborn
_LEVELS = {
    "none":       (0.00, 0.00, 0.00, 0.00, 0.000, 0.00, 0.00,  0.00, 1.0,   0.2),
    "low":        (0.07, 0.07, 0.05, 0.02, 0.015, 0.05, 0.10,  0.02, 0.6,   0.5),
    "moderate":   (0.15, 0.15, 0.10, 0.05, 0.030, 0.10, 0.15,  0.05, 0.4,   0.8),
    "bad grader": (0.15, 0.15, 0.10, 0.05, 0.030, 0.10, 0.15,  0.15, 0.4,   0.8),  # else moderate
    "stubborn":   (0.15, 0.15, 0.10, 0.05, 0.030, 0.10, 0.15,  0.05, 0.4,   0.8,  True),
    "high":       (0.25, 0.25, 0.20, 0.10, 0.080, 0.25, 0.25,  0.10, 0.3,   1.0),
}  # fmt: skip
LEVELS = {name: Rates(*row) for name, row in _LEVELS.items()}
