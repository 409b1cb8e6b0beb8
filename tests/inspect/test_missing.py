from datagen.config import model
from datagen.config.model import Config
from datagen.inspect import missing


def test_only_as_many_chunks_as_clusters_want_can_be_clustered():
    config = model.merge(Config(), {"cluster.min_clusters": 2})
    assert [missing.can_cluster(n, config) for n in (7, 8)] == [False, True]
    found = missing._too_few_chunks("a", [500, 500, 100], config)
    assert (found.setting, found.value) == ("chunk.max_tokens", 68)
    assert missing._too_few_chunks("a", [40, 9], Config()).setting == "cluster.min_cluster_size"
    assert missing._too_few_chunks("a", [9], Config()).setting == ""
