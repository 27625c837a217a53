"""Judgements: recorded for good, by several processes, counted and turned into data to tune on."""

import json
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from creuset.data.conversations import read_tuning_file
from creuset.errors import CheckpointError, DataError, NotFoundError, UsageError
from creuset.feedback import FeedbackStore, Judgement, as_json_lines, compared_runs, records, statistics
from creuset.metrics.preference import Outcomes, elo_ratings

ASKED = {"role": "user", "content": "2 + 2 ?"}
GOOD = Judgement(prompt=[ASKED], a="4", b="5", verdict="a", judge="ann", run_a="one", run_b="two")


def stored(path: Path, *judgements: Judgement) -> list[Judgement]:
    with FeedbackStore(path) as store:
        for each in judgements:
            store.add(each)
        return list(store.all())


def test_what_is_recorded_is_there_again(tmp_path: Path) -> None:
    path = tmp_path / "feedback.sqlite"
    edited = replace(GOOD, verdict="both_bad", edit="four — « été »", order_shown="ba", index_generation=7)
    first = stored(path, GOOD, edited)
    with FeedbackStore(path, create=False) as store:
        again = list(store.all())
    assert again == first
    assert [each.id for each in again] == [1, 2]
    assert replace(again[1], id=0, time="") == edited
    assert again[0].time.endswith("+00:00")
    with FeedbackStore(path) as store:
        assert [each.id for each in store.all(run="three")] == []
        assert [each.id for each in store.all(run="two", judge="ann")] == [1, 2]


WRITER = """
import sys
from pathlib import Path
from creuset.feedback import FeedbackStore, Judgement
with FeedbackStore(Path(sys.argv[1])) as store:
    for number in range(20):
        message = {"role": "user", "content": "?"}
        store.add(Judgement(prompt=[message], a=f"{number}", b="-", verdict="a", judge=sys.argv[2]))
"""


def test_several_processes_write_and_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "feedback.sqlite"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), f"judge {number}"]) for number in range(3)
    ]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    with FeedbackStore(path) as store:
        found = list(store.all())
    assert statistics(found).judges == {f"judge {number}": 20 for number in range(3)}
    assert [each.id for each in found] == list(range(1, 61))


def test_the_table_is_the_documented_one(tmp_path: Path) -> None:
    path = tmp_path / "feedback.sqlite"
    stored(path, GOOD)
    with sqlite3.connect(path) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(judgement)")]
        row = connection.execute("SELECT prompt_json, verdict FROM judgement").fetchone()
    assert columns == [
        *("id", "time", "judge", "prompt_json", "a", "b", "run_a", "run_b", "order_shown", "verdict", "edit"),
        "index_generation",
    ]
    assert json.loads(row[0]) == [ASKED]
    assert row[1] == "a"


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="nothing was judged"):
        FeedbackStore(tmp_path / "feedback.sqlite", create=False)
    (tmp_path / "damaged").write_bytes(b"no database at all, but long enough" * 100)
    with pytest.raises(CheckpointError, match="no file of judgements"):
        FeedbackStore(tmp_path / "damaged")
    with sqlite3.connect(tmp_path / "newer") as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(CheckpointError, match="newer creuset"):
        FeedbackStore(tmp_path / "newer")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"prompt": []}, "no prompt"),
        ({"prompt": [{"role": "alien", "content": "a"}]}, "no message"),
        ({"a": " "}, "a: this is empty"),
        ({"b": "4"}, "two equal answers"),
        ({"verdict": "c"}, "no verdict"),
        ({"order_shown": "aa"}, "no order"),
        ({"edit": ""}, "an edit that is empty"),
        ({"edit": "5"}, "an edit that equals an answer"),
    ],
)
def test_judgements_that_say_nothing_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(GOOD, **values)


TIE = replace(GOOD, verdict="tie")
BAD = replace(GOOD, verdict="both_bad", edit="four")


def test_records_to_tune_on(tmp_path: Path) -> None:
    judged = [GOOD, replace(GOOD, verdict="b", edit="vier"), TIE, BAD]
    answers = {
        form: [
            tuple(
                value[0]["content"] if isinstance(value, list) else value
                for key, value in record.items()
                if key not in ("prompt", "messages")
            )
            for record in records(judged, form)
        ]
        for form in ("dpo", "kto")
    }
    assert answers["dpo"] == [
        *(("4", "5"), ("vier", "4"), ("vier", "5"), ("5", "4")),
        *(("four", "4"), ("four", "5")),
    ]
    assert answers["kto"] == [
        *(("4", True), ("5", False), ("4", False), ("5", True), ("vier", True)),
        *(("4", False), ("5", False), ("four", True)),
    ]
    assert [record["messages"][-1]["content"] for record in records(judged, "sft")] == ["4", "vier", "four"]
    path = tmp_path / "rows.jsonl"
    for form, read_as in (("dpo", "preference"), ("sft", "messages"), ("kto", "kto")):
        path.write_text(as_json_lines(records(judged, form)))
        assert read_tuning_file(path).form == read_as
    with pytest.raises(DataError, match="no judgement says anything"):
        as_json_lines(records([TIE], "dpo"))


def test_statistics_and_ratings() -> None:
    shown = replace(GOOD, order_shown="ba")
    found = statistics([GOOD, GOOD, shown, TIE, BAD])
    assert (found.num_judgements, found.num_edits, found.num_with_winner) == (5, 1, 3)
    assert found.first_shown_preferred == 2
    assert found.verdicts == {"a": 3, "b": 0, "tie": 1, "both_bad": 1}
    won = [GOOD] * 3 + [replace(GOOD, verdict="b")]
    ratings = elo_ratings(Outcomes.from_judgements(compared_runs(won)), num_resamples=50)
    assert ratings.gap("one", "two").value == pytest.approx(190.85, abs=0.01)
    assert compared_runs([replace(GOOD, run_a=None)]) == []


def test_a_purge_takes_judgements_away_to_the_last_byte(tmp_path: Path) -> None:
    secret = "the valve behind the second boiler is opened by a quarter turn"
    with FeedbackStore(tmp_path / "feedback.sqlite") as store:
        for number in range(50):
            text = f"{secret} {number}" * 40
            store.add(Judgement(prompt=[ASKED], a=text, b="another one", verdict="a", judge="me"))
        kept = store.add(Judgement(prompt=[ASKED], a="kept", b="another one", verdict="a", judge="me"))
        store.remove([judgement.id for judgement in store.all() if secret in judgement.a])
        assert [judgement.id for judgement in store.all()] == [kept]
    for file in tmp_path.iterdir():
        assert secret.encode() not in file.read_bytes()
