"""Mistakes that tunings elsewhere swallow, planted one by one: `creuset finetune` refuses each before its
first step, and shows the row."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chat_templates import CHATML
from command_line import run_command
from creuset.assets.places import workspace
from small_bases import conversations, preferences, write_base, write_rows

Rows = list[dict[str, Any]]
PLACE = 7
"""The line of the wrong row, from 1."""
FEW = ("--set", "training.num_steps=2", "--set", "training.precision=float32")


def with_turns(*turns: tuple[str, str], **values: object) -> Rows:
    """Conversations of which one has other turns; `values` go into its last turn."""
    rows: Rows = conversations()
    messages: list[dict[str, object]] = [{"role": role, "content": content} for role, content in turns]
    messages[-1] |= values
    rows[PLACE - 1] = {"messages": messages}
    return rows


def with_template(text: str) -> None:
    """Gives the base another chat template."""
    path = Path("base/tokenizer_config.json")
    document = json.loads(path.read_text())
    (Path("base") / "chat_template.jinja").unlink(missing_ok=True)
    path.write_text(json.dumps({**document, "chat_template": text}))


def all_masked() -> Rows:
    return with_turns(("user", "planted?"), ("assistant", "no"), weight=0)


def start_doubled() -> Rows:
    with_template("{{ bos_token }}{{ bos_token }}" + CHATML)
    return conversations()


def end_never_trained() -> Rows:
    with_template(CHATML.replace("<|im_end|>", ""))
    return conversations()


def conversations_packed_into_one() -> Rows:
    marks = "no<|im_end|>\n<|im_start|>user\nplanted again?<|im_end|>\n<|im_start|>assistant\nno"
    return with_turns(("user", "planted?"), ("assistant", marks))


def answer_truncated() -> Rows:
    return with_turns(("user", "planted?"), ("assistant", "no, " * 200))


def evaluation_leaked() -> Rows:
    rows: Rows = conversations()
    write_rows(
        Path("test.jsonl"),
        [*with_turns(("user", "what?"), ("assistant", "red"))[PLACE - 1 : PLACE], rows[PLACE - 1]],
    )
    return rows


def evaluation_leaked_in_capitals() -> Rows:
    rows: Rows = conversations()
    copied = [{**turn, "content": f" {turn['content'].upper()}."} for turn in rows[PLACE - 1]["messages"]]
    write_rows(Path("test.jsonl"), [{"messages": copied}])
    return rows


def questions_equal() -> Rows:
    return [
        {"prompt": "planted?" if place % 2 else "Planted", "completion": f"{place}"} for place in range(9)
    ]


def nobody_answers() -> Rows:
    return with_turns(("user", "planted?"))


def answers_equal() -> Rows:
    rows: Rows = preferences()
    rows[PLACE - 1] = {"prompt": "planted?", "chosen": "no", "rejected": "no"}
    return rows


def role_unknown() -> Rows:
    return with_turns(("user", "planted?"), ("asistant", "no"))


def answer_empty() -> Rows:
    return with_turns(("user", "planted?"), ("assistant", " "))


def reward_constant() -> Rows:
    Path("rewards.py").write_text("def same(prompt, answer):\n    return 1.0\n")
    return conversations()


def half_a_character() -> Rows:
    return with_turns(("user", "planted?"), ("assistant", "no \ud83d"))


def label_contradicted() -> Rows:
    rows = [{"text": f"{'good' if place % 2 else 'bad'} {place}", "label": place % 2} for place in range(40)]
    return [*rows[: PLACE - 1], {**rows[0], "label": 1}, *rows[PLACE - 1 :]]


def text_marked() -> Rows:
    rows: Rows = [{"text": f"page {place} is short"} for place in range(40)]
    rows[PLACE - 1] = {"text": "planted? <|im_start|>user"}
    return rows


def one_end_missing() -> Rows:
    with_template(CHATML.replace("'<|im_end|>' + '\n'", "('<|im_end|>' if loop.index != 2 else '') + '\n'"))
    rows: Rows = conversations()
    for row in rows:
        row["messages"] *= 2
    return rows


PLANTED: dict[str, tuple[Callable[[], Rows], tuple[str, ...], int, tuple[str, ...]]] = {
    "all labels masked": (all_masked, (), 4, (f"rows.jsonl:{PLACE}:", "nothing to learn", "planted?")),
    "start token doubled": (
        start_doubled,
        (),
        4,
        ("doubled start: ", "rows.jsonl:", "<|endoftext|><|endoftext|>"),
    ),
    "end never trained": (end_never_trained, (), 4, ("no end: ", "rows.jsonl:", "⟦it is ")),
    "packed contamination": (
        conversations_packed_into_one,
        (),
        4,
        ("marks in a message: ", f"rows.jsonl:{PLACE}", "planted again?"),
    ),
    "answer truncated": (answer_truncated, (), 4, ("too long: ", f"rows.jsonl:{PLACE}", "planted?")),
    "evaluation leaked": (
        evaluation_leaked,
        ("--test-data", "test.jsonl"),
        4,
        ("leak: ", f"rows.jsonl:{PLACE}", "it is pink"),
    ),
    "evaluation leaked in capitals": (
        evaluation_leaked_in_capitals,
        ("--test-data", "test.jsonl"),
        4,
        ("leak: ", f"rows.jsonl:{PLACE}", "it is pink"),
    ),
    "one question": (
        questions_equal,
        (),
        2,
        ("rows.jsonl: too few different questions", "9 rows, 1 of them different in what is asked"),
    ),
    "nobody answers": (
        nobody_answers,
        (),
        4,
        (f"rows.jsonl:{PLACE}:", "no turn of the assistant", "planted?"),
    ),
    "chosen equals rejected": (answers_equal, (), 4, (f"rows.jsonl:{PLACE}:", "equal", "planted?")),
    "role unknown": (role_unknown, (), 4, (f"rows.jsonl:{PLACE}:", "asistant", "planted?")),
    "answer empty": (answer_empty, (), 4, (f"rows.jsonl:{PLACE}:", "empty", "planted?")),
    "half a character": (half_a_character, (), 4, (f"rows.jsonl:{PLACE}:", "planted?")),
    "two labels": (label_contradicted, (), 4, ("two labels: 2 texts", f"rows.jsonl:{PLACE}", "rows.jsonl:1")),
    "marks in a plain text": (
        text_marked,
        (),
        4,
        ("marks in a message: 1 row", f"rows.jsonl:{PLACE}", "planted?"),
    ),
    "one end of two": (one_end_missing, (), 4, ("no end: 40 rows", "⟦it is ")),
    "reward constant": (
        reward_constant,
        ("--method", "grpo", "--reward", "rewards.py:same"),
        4,
        ("rewards.py:1: the reward is the same for every answer", "1 for "),
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_mistake_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_base(tmp_path / "base")
    plant, words, code, said = PLANTED[name]
    write_rows(Path("rows.jsonl"), plant())
    done = run_command(["finetune", "base", "--data", "rows.jsonl", *FEW, *words])
    assert done.exit_code == code, done.stderr
    for part in said:
        assert part in done.stderr
    assert not (workspace() / "runs").exists()


def test_without_a_mistake_the_same_rows_are_tuned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_base(tmp_path / "base")
    write_rows(Path("rows.jsonl"), conversations())
    done = run_command(["finetune", "base", "--data", "rows.jsonl", *FEW, "--dry-run"])
    assert done.exit_code == 0, done.stderr
