import json

from datagen.stages import STAGES
from tests.commands.calls import call


def test_status(place, run):
    result = call("status", run)
    assert result.exit_code == 0
    assert [*(s.name for s in STAGES), "dataset"] == [
        line.split()[0] for line in result.stdout.splitlines()[1:] if not line.startswith(" ")
    ]
    shown = call("status", run, "--json")
    stages = json.loads(shown.stdout)
    assert [s["name"] for s in stages] == [*(s.name for s in STAGES), "dataset"]
    assert all(s["pending"] == 0 and s["shards_done"] == s["shards_total"] == 2 for s in stages[:-1])
    assert not any(s["stale"] for s in stages)
    for s, entry in zip(STAGES, stages, strict=False):
        counts = entry["ledger"][s.table.input_unit]
        assert counts["in"] == counts["kept"] + sum(counts["rejected"].values()) + sum(counts["failed"].values())


def test_status_of_what_is_no_run(tmp_path):
    for path in (tmp_path, tmp_path / "none"):
        result = call("status", path)
        assert result.exit_code == 1
        assert result.stderr == f"error: {path} is no run directory: there is no chunk folder in it\n"
        assert not (tmp_path / "none").exists()
