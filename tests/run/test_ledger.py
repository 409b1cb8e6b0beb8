from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen.errors import LedgerError
from datagen.records import Chunk
from datagen.run import ledger as ledgers
from tests.run.rows import account, cluster, drop, entry


def test_both_kinds_of_row_are_counted():
    rows = [cluster("a", 0), cluster("a", 1), cluster("b", 0)]
    dropped = [drop("c"), drop("d"), drop("e", "no text", "failed"), drop("a/c2", "oversized", unit="cluster")]
    assert account({"a", "b", "c", "d", "e"}, rows, dropped) == {
        "document": entry(5, 2, {"too short": 2}, {"no text": 1}),
        "cluster": entry(4, 3, {"oversized": 1}),
    }


def test_one_kind_of_row_in_and_out():
    rows = [Chunk("a", 0, 0, 1, 1, "x")]
    ledger = ledgers.account("embed", "chunk", "chunk", {"a#0", "a#1"}, rows, [drop("a#1", unit="chunk")])
    assert ledger == {"chunk": entry(2, 1, {"too short": 1})}


@pytest.mark.parametrize(
    ("came_in", "rows", "dropped", "problem"),
    [
        ("ab", [cluster("a")], [], "1 document rows gone without a reason, such as 'b'"),
        ("a", [cluster("a"), cluster("b")], [], "1 document rows from nowhere, such as 'b'"),
        ("a", [cluster("a")], [drop("b")], "1 document rows from nowhere, such as 'b'"),
        ("ab", [cluster("a"), cluster("b")], [drop("b")], "1 document rows both kept and dropped, such as 'b'"),
        ("ab", [cluster("a")], [drop("b"), drop("b", "other")], "1 document rows dropped twice, such as 'b'"),
        ("a", [cluster("a"), cluster("a")], [], "1 cluster rows made twice, such as 'a/c0'"),
        ("a", [cluster("a")], [drop("a/c0", unit="cluster")], "1 cluster rows both kept and dropped, such as 'a/c0'"),
        (
            "a",
            [cluster("a")],
            [drop("a", unit="candidate")],
            "it takes document rows and makes cluster rows, but drops cand",
        ),
    ],
)
def test_a_row_without_a_fate_is_caught(came_in, rows, dropped, problem):
    with pytest.raises(LedgerError, match=f"^cluster: {problem}"):
        account(set(came_in), rows, dropped)


fates = st.lists(
    st.tuples(st.sampled_from(["kept", "rejected", "failed"]), st.sampled_from(["too short", "too long", "odd"])),
    max_size=30,
)


def shard(n: int, rows: list[tuple]) -> ledgers.Ledger:
    kept = [cluster(f"{n}-{i}") for i, (fate, _) in enumerate(rows) if fate == "kept"]
    dropped = [drop(f"{n}-{i}", reason, fate) for i, (fate, reason) in enumerate(rows) if fate != "kept"]
    return account({f"{n}-{i}" for i in range(len(rows))}, kept, dropped)


@given(st.lists(fates, min_size=1, max_size=4))
def test_what_came_in_is_kept_rejected_or_failed(parts):
    each = [shard(n, rows) for n, rows in enumerate(parts)]
    total = ledgers.add(each)
    flat = [row for rows in parts for row in rows]
    for ledger in [*each, total]:
        for counts in ledger.values():
            assert counts["in"] == counts["kept"] + sum(counts["rejected"].values()) + sum(counts["failed"].values())
    documents = total["document"]
    assert documents["in"] == len(flat)
    assert documents["kept"] == sum(fate == "kept" for fate, _ in flat)
    for status in ("rejected", "failed"):
        assert documents[status] == Counter(reason for fate, reason in flat if fate == status)
    assert ledgers.failures(total) == sum(fate == "failed" for fate, _ in flat)


@given(fates.filter(lambda rows: any(fate != "kept" for fate, _ in rows)), st.randoms(use_true_random=False))
def test_no_dropped_row_can_be_forgotten(rows, rng):
    dropped = [drop(str(i), reason, fate) for i, (fate, reason) in enumerate(rows) if fate != "kept"]
    dropped.remove(rng.choice(dropped))
    kept = [cluster(str(i)) for i, (fate, _) in enumerate(rows) if fate == "kept"]
    with pytest.raises(LedgerError, match="gone without a reason"):
        account({str(i) for i in range(len(rows))}, kept, dropped)


def test_sums_do_not_depend_on_the_order_of_shards():
    parts = [shard(0, [("rejected", "b"), ("kept", "")]), shard(1, [("rejected", "a")]), {}]
    assert list(ledgers.add(parts)["document"]["rejected"]) == ["a", "b"]
    assert str(ledgers.add(parts)) == str(ledgers.add(parts[::-1]))
    assert ledgers.add([]) == {}
