"""llama.cpp with the SmolLM2 starter: what the engine promises, kept by the real thing."""

import json
import os
import signal
import stat
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import jsonschema
import numpy as np
import pytest
import torch

from creuset.engines.llamacpp import LlamaCpp
from creuset.engines.request import Message, Request
from creuset.errors import CreusetError, DataError, NotFoundError, UsageError
from creuset.generation.sampling import Sampling
from creuset.pretrained.gguf.file import GgufFile
from creuset.pretrained.gguf.tokenizer import read_chat_template

pytestmark = pytest.mark.starter

CAPITAL = Request(prompt="The capital of France is", max_tokens=12)
ENDLESS = Sampling(logit_bias={0: -100.0, 2: -100.0})
LONG = Request(prompt="Once upon a time", max_tokens=300, sampling=ENDLESS)
"""Long, since the tokens that end a text are forbidden."""


@pytest.fixture(scope="module")
def engine(model_file: Path) -> Iterator[LlamaCpp]:
    with LlamaCpp(model_file, name="smollm2-135m", context_length=320) as opened:
        yield opened


def test_describe_tells_what_the_file_says(engine: LlamaCpp) -> None:
    description = engine.describe()
    assert (description.name, description.driver) == ("smollm2-135m", "llamacpp")
    assert (description.context_length, description.vocab_size) == (320, 49152)
    assert description.precision == "Q4_1"
    assert description.abilities == {"chat", "json_schema", "grammar", "log_probs"}


def test_greedy_is_the_same_each_time_and_pieces_are_the_whole(engine: LlamaCpp) -> None:
    answer = engine.complete(CAPITAL)
    pieces = list(engine.stream(CAPITAL))
    assert answer.text.startswith(" Paris")
    assert "".join(piece.text for piece in pieces) == answer.text
    assert [token for piece in pieces for token in piece.token_ids] == list(answer.token_ids)
    assert [piece.finish_reason for piece in pieces[:-1]] == [None] * (len(pieces) - 1)
    assert (answer.finish_reason, pieces[-1].finish_reason) == ("length", "length")
    assert (answer.usage.num_prompt_tokens, answer.usage.num_completion_tokens) == (5, 12)
    assert 0 < answer.usage.seconds_to_first_token <= answer.usage.seconds


def test_text_and_ids_are_the_same_prompt(engine: LlamaCpp) -> None:
    ids = tuple(engine.log_probs("The capital of France is", start=5).token_ids.tolist())
    assert len(ids) == 5
    assert engine.complete(Request(prompt=ids, max_tokens=12)).text == engine.complete(CAPITAL).text


def test_the_seed_decides(engine: LlamaCpp) -> None:
    texts = [
        engine.complete(
            Request(prompt="Once", max_tokens=8, sampling=Sampling(temperature=1.0, seed=seed))
        ).text
        for seed in (1, 1, 2)
    ]
    assert texts[0] == texts[1] != texts[2]


def test_limits_of_the_choice(engine: LlamaCpp) -> None:
    greedy = engine.complete(CAPITAL).text
    for narrow in ({"top_k": 1}, {"top_p": 1e-6}, {"min_p": 0.999}):
        request = Request(prompt=CAPITAL.prompt, max_tokens=12, sampling=Sampling(temperature=3.0, **narrow))
        assert engine.complete(request).text == greedy
    paris = engine.complete(CAPITAL).token_ids[0]
    banned = Request(prompt=CAPITAL.prompt, max_tokens=1, sampling=Sampling(logit_bias={paris: -100.0}))
    assert paris not in engine.complete(banned).token_ids


@pytest.mark.parametrize("penalty", ["repeat_penalty", "presence_penalty", "frequency_penalty"])
def test_penalties_end_a_repetition(engine: LlamaCpp, penalty: str) -> None:
    prompt = "tick tock tick tock tick tock tick tock tick"

    def next_token(**fields: Any) -> int:
        (token,) = engine.complete(
            Request(prompt=prompt, max_tokens=1, sampling=Sampling(**fields))
        ).token_ids
        return token

    tock = next_token()
    assert next_token(**{penalty: 20.0}) != tock
    assert next_token(**{penalty: 20.0}, penalty_window=None) != tock
    # The last token alone is "tick".
    assert next_token(**{penalty: 20.0}, penalty_window=1) == tock


def test_a_stop_string_ends_the_answer_and_is_held_back(engine: LlamaCpp) -> None:
    whole = engine.complete(CAPITAL).text
    stop = whole[4:12]
    pieces = list(engine.stream(Request(prompt=CAPITAL.prompt, max_tokens=12, stop=("never", stop))))
    assert "".join(piece.text for piece in pieces) == whole[: whole.index(stop)]
    assert pieces[-1].finish_reason == "stop"
    assert pieces[-1].usage is not None
    assert pieces[-1].usage.num_completion_tokens < 12


def test_no_piece_ends_in_half_a_character(engine: LlamaCpp) -> None:
    pieces = list(engine.stream(Request(prompt="🦄" * 12, max_tokens=7)))
    assert [piece.text for piece in pieces if piece.text] == ["🦄", "🦄"]
    assert pieces[-1].usage is not None
    assert pieces[-1].usage.num_completion_tokens == 7


def test_a_closed_generator_stops_the_model(engine: LlamaCpp) -> None:
    pieces = engine.stream(LONG)
    next(pieces)
    pieces.close()
    started = time.perf_counter()
    engine.complete(Request(prompt="a", max_tokens=1))
    assert time.perf_counter() - started < 1.5  # the rest of LONG takes twice as long at least


def test_cancel_ends_an_answer_from_another_thread(engine: LlamaCpp) -> None:
    pieces = engine.stream(LONG)
    for _ in range(3):
        next(pieces)
    canceller = threading.Thread(target=engine.cancel)
    canceller.start()
    canceller.join()
    rest = list(pieces)
    assert rest[-1].finish_reason == "cancelled"
    assert rest[-1].usage is not None
    assert rest[-1].usage.num_completion_tokens <= 8


def test_cancel_while_the_prompt_is_read(engine: LlamaCpp) -> None:
    pieces = engine.stream(Request(prompt=tuple(range(1000, 1300)), max_tokens=12))
    threading.Timer(0.2, engine.cancel).start()
    started = time.perf_counter()
    (last,) = pieces
    assert time.perf_counter() - started < 0.7
    assert (last.text, last.finish_reason) == ("", "cancelled")


def test_json_keeps_to_its_schema(engine: LlamaCpp) -> None:
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 12},
            "age": {"type": "integer", "minimum": 0, "maximum": 120},
            "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 2},
        },
        "required": ["name", "age", "tags"],
        "additionalProperties": False,
    }
    warm = Sampling(temperature=1.5, seed=1)
    request = Request(prompt="A person: ", max_tokens=80, sampling=warm, json_schema=schema)
    answer = engine.complete(request)
    assert answer.finish_reason == "stop"
    jsonschema.validate(json.loads(answer.text), schema)


@pytest.mark.parametrize(
    "schema", [{"type": "nonsense"}, {"$ref": "#/nowhere"}, {"pattern": "(", "type": "string"}]
)
def test_a_schema_that_cannot_be_kept_is_refused(engine: LlamaCpp, schema: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=r"json_schema: llama\.cpp cannot hold an answer to this schema"):
        engine.stream(Request(prompt="x", max_tokens=8, json_schema=schema))


def test_a_grammar_is_kept_to(engine: LlamaCpp) -> None:
    warm = Sampling(temperature=2.0)
    request = Request(prompt="Is it? ", sampling=warm, max_tokens=20, grammar='root ::= "yes" | "no"')
    assert engine.complete(request).text in ("yes", "no")
    with pytest.raises(UsageError, match=r"llama\.cpp refuses the request"):
        engine.complete(Request(prompt="x", max_tokens=4, grammar="root ::= ("))
    with pytest.raises(UsageError, match="grammar: not a GBNF grammar"):
        engine.stream(Request(prompt="x", max_tokens=4, grammar="%llguidance {}\nstart: /a/"))


def test_log_probs_of_a_text_are_those_of_its_generation(engine: LlamaCpp) -> None:
    prompt = tuple(engine.log_probs("The capital of France is", start=5).token_ids.tolist())
    answer = engine.complete(Request(prompt=prompt, max_tokens=6, num_logprobs=3))
    assert all(len(token.alternatives) == 3 for token in answer.log_probs)
    assert [token.alternatives[0].token_id for token in answer.log_probs] == list(answer.token_ids)
    assert b"".join(token.token_bytes for token in answer.log_probs).decode() == answer.text

    measured = engine.log_probs((*prompt, *answer.token_ids), start=len(prompt), num_top=3)
    told = [token.log_prob for token in answer.log_probs]
    np.testing.assert_allclose(measured.log_probs, told, atol=0.02)
    np.testing.assert_array_equal(measured.top_ids[:, 0], answer.token_ids)
    np.testing.assert_allclose(measured.top_log_probs[:, 0], measured.log_probs, atol=1e-6)
    assert (np.diff(measured.top_log_probs, axis=1) <= 0).all()


def test_all_alternatives_together_are_certain(engine: LlamaCpp) -> None:
    measured = engine.log_probs((504, 3575), num_top=engine.describe().vocab_size)
    assert measured.top_ids.shape == (1, 49152)
    assert np.exp(measured.top_log_probs).sum() == pytest.approx(1.0, abs=1e-3)
    place = int(np.flatnonzero(measured.top_ids[0] == 3575)[0])
    assert measured.top_log_probs[0, place] == pytest.approx(measured.log_probs[0], abs=1e-5)


def test_a_special_token_in_a_text_is_measured_too(engine: LlamaCpp) -> None:
    measured = engine.log_probs("Hello.<|im_end|>")
    assert measured.token_ids[-1] == 2
    assert len(measured.log_probs) == len(measured.token_ids) - 1
    assert np.isfinite(measured.log_probs).all()


def test_a_chat_is_brought_into_words_by_the_model_s_template(engine: LlamaCpp) -> None:
    chat = (Message(role="system", content="Be brief."), Message(role="user", content="Say hi."))
    spelled = (
        "<|im_start|>system\nBe brief.<|im_end|>\n"
        "<|im_start|>user\nSay hi.<|im_end|>\n<|im_start|>assistant\n"
    )
    answers = [
        engine.complete(Request(messages=chat, max_tokens=40)),
        engine.complete(Request(prompt=spelled, max_tokens=40)),
    ]
    assert answers[0].text == answers[1].text
    assert answers[0].finish_reason == "stop"
    assert answers[0].token_ids[-1] == 2
    assert engine.count_tokens(Request(messages=chat)) == engine.count_tokens(Request(prompt=spelled))


def test_what_is_longer_than_the_context_is_refused(engine: LlamaCpp) -> None:
    prompt = (504,) * 318
    full = engine.complete(Request(prompt=prompt, sampling=ENDLESS))
    assert (full.usage.num_completion_tokens, full.finish_reason) == (2, "length")
    with pytest.raises(
        UsageError, match=r"got: 318 tokens of prompt and max_tokens 3: 321\n  expected: at most 320"
    ):
        engine.stream(Request(prompt=prompt, max_tokens=3))
    with pytest.raises(UsageError, match=r"got: 321 tokens\n  expected: at most 320"):
        engine.log_probs((504,) * 321)


def test_impossible_prompts_are_refused(engine: LlamaCpp) -> None:
    with pytest.raises(UsageError, match="prompt: the prompt has no token"):
        engine.stream(Request(prompt=""))
    with pytest.raises(UsageError, match="no such token\n  got: 49152\n  expected: ids from 0 to 49151"):
        engine.stream(Request(prompt=(1, 49152)))
    with pytest.raises(UsageError, match="no such token"):
        engine.stream(Request(prompt="a", sampling=Sampling(logit_bias={99999: 1.0})))
    with pytest.raises(UsageError, match="start: no token of the text that has one before it"):
        engine.log_probs("a", start=0)
    with pytest.raises(UsageError, match=r"no vectors of texts unless it is opened with a pooling"):
        engine.embed(["a"])


def test_vectors_of_texts(model_file: Path) -> None:
    with LlamaCpp(model_file, name="m", context_length=64, pooling="mean") as embedder:
        texts = ["a cat", "a dog", "the orbits of distant planets"]
        vectors = embedder.embed(texts)
        alone = np.concatenate([embedder.embed([text]) for text in texts])
        with pytest.raises(
            UsageError, match=r"m, text 2: longer than .*\n  got: 65 tokens\n  expected: at most 64"
        ):
            embedder.embed(["a", " cat" * 65])
        with pytest.raises(UsageError, match="embed: no list of texts"):
            embedder.embed("a cat")
        assert embedder.complete(CAPITAL).text.startswith(" Paris")
    assert (vectors.shape, vectors.dtype) == ((3, 576), np.float32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(vectors, alone, atol=2e-3)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]
    with pytest.raises(UsageError, match="the file does not say how its vectors are pooled"):
        LlamaCpp(model_file, pooling="model")


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files that no other test uses, with a path short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="t") as place:
        monkeypatch.setattr(tempfile, "tempdir", place)
        yield Path(place)


def test_engines_one_after_another_leave_nothing(
    model_file: Path, temporary: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for _ in range(3):
        opened = LlamaCpp(model_file, context_length=64)
        pieces = opened.stream(CAPITAL)
        next(pieces)
        opened.close()
        opened.close()
        assert list(pieces)[-1].finish_reason == "cancelled"
        with pytest.raises(UsageError, match="this engine is closed"):
            opened.complete(CAPITAL)
    assert not list(temporary.iterdir())
    assert capfd.readouterr() == ("", "")


def test_the_server_listens_where_this_user_alone_may_go(model_file: Path, temporary: Path) -> None:
    with LlamaCpp(model_file, context_length=64):
        places = list(temporary.glob("creuset-*/llama.sock"))
        assert [stat.S_IMODE(place.parent.stat().st_mode) for place in places] == [0o700]


def test_ctrl_c_stays_python_s(model_file: Path) -> None:
    opened: list[LlamaCpp] = []
    loader = threading.Thread(target=lambda: opened.append(LlamaCpp(model_file, context_length=64)))
    loader.start()
    loader.join()
    with opened[0], pytest.raises(KeyboardInterrupt):
        _interrupt()


def _interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(1)


def test_contexts_beyond_the_training_are_refused(model_file: Path) -> None:
    for length in (0, 8193):
        with pytest.raises(UsageError, match=rf"got: context_length {length}\n  expected: 1 to 8192"):
            LlamaCpp(model_file, context_length=length)


def foreign(folder: Path) -> Path:
    """A file of an architecture that nobody knows."""
    other = folder / "other.gguf"
    writer = gguf.GGUFWriter(other, "nonsense")
    writer.add_context_length(64)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return other


def test_a_failed_load_takes_nobody_s_stderr(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What another thread writes meanwhile comes through, whole."""
    path, ended = foreign(tmp_path), threading.Event()
    lines = 0

    def write() -> None:
        nonlocal lines
        while not ended.is_set():
            os.write(2, b"a line\n")
            lines += 1
            ended.wait(0.001)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with pytest.raises(CreusetError, match="unknown model architecture: 'nonsense'"):
            LlamaCpp(path)
    finally:
        ended.set()
        writer.join()
    assert lines > 1
    assert capfd.readouterr() == ("", "a line\n" * lines)


def test_damaged_and_foreign_files_are_refused(
    model_file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(NotFoundError):
        LlamaCpp(tmp_path / "none.gguf")
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(model_file.read_bytes()[:10_000_000])
    with pytest.raises(DataError, match="it was cut short"):
        LlamaCpp(cut)
    other = foreign(tmp_path)
    with pytest.raises(
        CreusetError, match=r"cannot load this model\n  got: .*unknown model architecture: 'nonsense'"
    ):
        LlamaCpp(other)
    assert capfd.readouterr() == ("", "")


def test_no_other_model_s_template_is_taken(model_file: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare.gguf"
    content = model_file.read_bytes()
    assert content.count(b"tokenizer.chat_template") == 1
    bare.write_bytes(content.replace(b"tokenizer.chat_template", b"tokenizer.some_template"))
    with (
        LlamaCpp(bare, context_length=64) as opened,
        pytest.raises(UsageError, match="gives no chat without a template"),
    ):
        opened.complete(Request(messages=(Message(role="user", content="hi"),)))


def test_threads_are_torch_s(engine: LlamaCpp) -> None:
    assert engine.num_threads == torch.get_num_threads()


def test_a_prompt_that_is_reused_gives_the_same_answer(engine: LlamaCpp, model_file: Path) -> None:
    with LlamaCpp(model_file, context_length=64, reuse_prompt=True) as opened:
        texts = [opened.complete(CAPITAL).text for _ in range(2)]
    assert texts == [engine.complete(CAPITAL).text] * 2


def test_a_template_that_never_ends_is_run_in_the_sandbox_alone(model_file: Path, tmp_path: Path) -> None:
    content = model_file.read_bytes()
    template = read_chat_template(GgufFile(model_file).metadata)
    assert template is not None
    source = template.source.encode()
    endless = b"{% for a in range(90000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}"
    assert len(endless) <= len(source)
    hostile = tmp_path / "hostile.gguf"
    hostile.write_bytes(content.replace(source, endless.ljust(len(source)), 1))
    started = time.perf_counter()
    with LlamaCpp(hostile, context_length=64) as engine:
        assert time.perf_counter() - started < 60
        assert engine.complete(CAPITAL).text
        with pytest.raises(CreusetError, match="template"):
            engine.complete(Request(messages=(Message(role="user", content="hi"),), max_tokens=2))
