import json

from datagen.train import curve


def test_a_run_is_drawn_from_its_metrics(tmp_path):
    file = tmp_path / "metrics.jsonl"
    steps = [{"step": i, "reward": 0.0, "recall": i / 100, "answer": None if i < 2 else 0.0} for i in range(101)]
    file.write_text("".join(json.dumps(row) + "\n" for row in [{"step": 0, "eval/recall": 1.0}, *steps]))
    series = curve.read(file)
    assert [len(values) for values in series.values()] == [101, 99]
    lines = curve.draw(series).splitlines()
    assert len(lines) == curve.HEIGHT + 1 + 1 + 2
    assert lines[0].endswith("●")  # the last steps are at the top
    assert lines[curve.HEIGHT].startswith(" 0.0 │●")  # the first ones at the bottom
    assert "0.00 at first, 0.96 at the end" in lines[-2]


def test_a_short_run_has_a_column_a_step():
    lines = curve.draw({"recall": [0.0, 1.0]}).splitlines()
    assert lines[0] == " 1.0 │ ●"
    assert lines[curve.HEIGHT] == " 0.0 │●"


def test_without_steps_there_is_nothing_to_draw(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 0, "sft/loss": 1.0}\n')
    assert curve.read(tmp_path / "metrics.jsonl") == {}


def test_runs_beside_each_other(tmp_path):
    for name, cited in (("longrlvr", 0.9), ("answer", 0.4)):
        (tmp_path / name).mkdir()
        steps = [{"step": i, "recall": cited if i else 0.3, "answer": 0.0} for i in range(11)]
        (tmp_path / name / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in steps))
    told = curve.draw(curve.citations([tmp_path / "longrlvr", tmp_path / "answer"])).splitlines()
    assert told[1] == "     │ ●●●●●●●●●●"
    assert told[6] == "     │ ··········"
    assert "● longrlvr: labelled chunks that are cited: 0.30 at first, 0.90 at the end" in told[-2]
    assert "· answer: labelled chunks that are cited: 0.30 at first, 0.40 at the end" in told[-1]
