from hypothesis import given
from hypothesis import strategies as st

from datagen.run.share import WHOLE, Share

NAMES = st.integers(0, 40).map(lambda n: [f"shard-{i:05d}" for i in range(n)])


@given(NAMES, st.integers(1, 50))
def test_jobs_take_every_shard_once(names, count):
    shares = [Share(index, count) for index in range(count)]
    assert sorted(name for share in shares for name in share.of(names)) == names
    assert max(len(share.of(names)) for share in shares) - min(len(share.of(names)) for share in shares) <= 1
    for share in shares:
        assert share.of(names) == [name for place, name in enumerate(names) if share.has(place)]
    assert len({share.name for share in shares}) == count


def test_the_whole_is_no_job():
    assert Share(0, 1) == WHOLE
    assert WHOLE.is_whole
    assert WHOLE.name == ""
    assert WHOLE.options == ()
    assert Share(2, 8).options == ("--num-shards", "8", "--shard-index", "2")
