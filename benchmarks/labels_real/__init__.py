"""What `benchmarks/labels_real.py` is made of, and its data.

chapters/             three chapters, one a language: the text that every passage is cut from
candidates-*.jsonl    candidates whose truth is known, and what each check should say of them
pairs-*.jsonl         pairs of answers that say the same, or do not
before/               the prompts of the judge as they were before they were measured with a real model
data.py               reads and means all that
asked.py              what is asked about it, by the judge's own checks
ideal.py              a model that makes no mistake
recording.py          asks a server and keeps what it said, or takes what was kept
report.py             what came of it, in tables and in one object
"""
