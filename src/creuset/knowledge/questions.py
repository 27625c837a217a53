"""Questions to measure an index with: from a file, or made of the documents themselves.

A file is JSONL, a question a line:

    {"question": "How is the boiler filled?", "relevant": ["hut.md"], "answer": "With rain water."}

`relevant` names the documents that answer it, [] for a question that none of them answers; without it the
question measures speed alone. `answer` is optional.

Questions that are made take a sentence of a document as what somebody remembers of it: some of its rarer
words, in their order. Source: Azzopardi, de Rijke and Balog (2007), "Building simulated queries for
known-item topics", with their popularity-discriminative model of terms as far as the choice of rare words
goes. Departures: words keep the order of one sentence, and no noise words are mixed in. They are easier for
search by words than what people ask: figures by them compare settings, and say little about people's
questions.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from creuset.errors import DataError, NotFoundError, Problem
from creuset.knowledge.records import StoredChunk
from creuset.knowledge.sentences import sentence_spans

MAX_QUESTIONS = 100_000
_LEAST_WORDS, _MOST_WORDS = 3, 6
_LEAST_LETTERS = 4


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question with what is known of its answer.

    Args:
        text: As somebody asks it.
        relevant: Names of the documents that answer it; () where none does; None where it is not known.
        answer: As it should be; "" where it is not known.
    """

    text: str
    relevant: tuple[str, ...] | None = None
    answer: str = ""

    @property
    def is_answerable(self) -> bool:
        """Whether a document is known to answer it."""
        return bool(self.relevant)


def read_questions(path: Path) -> tuple[Question, ...]:
    """The questions of a file.

    Raises:
        NotFoundError: There is no such file.
        DataError: A line is no question; all wrong ones are named, up to ten.
    """
    if not path.is_file():
        raise NotFoundError("no file of questions here", where=path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            "no UTF-8", where=path, got=f"byte {error.start}", expected="JSONL in UTF-8"
        ) from error
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not lines or len(lines) > MAX_QUESTIONS:
        raise DataError(
            "no number of questions to measure with",
            where=path,
            got=f"{len(lines):,} lines",
            expected=f"1 to {MAX_QUESTIONS:,}",
        )
    questions: list[Question] = []
    problems: list[Problem] = []
    for number, line in lines:
        try:
            questions.append(_question(json.loads(line)))
        except (ValueError, RecursionError) as error:
            problems.append(Problem(file=str(path), line=number, column=1, message=str(error).split("\n")[0]))
    if problems:
        raise DataError(
            f"{len(problems):,} of {len(lines):,} lines are no questions",
            where=path,
            got="\n       ".join(map(str, problems[:10])),
            expected='{"question": "...", "relevant": ["document", ...], "answer": "..."} a line',
        )
    return tuple(questions)


def _question(record: Any) -> Question:
    if not isinstance(record, dict):
        raise ValueError(f"no object: {str(record)[:40]}")
    text, relevant, answer = record.get("question"), record.get("relevant"), record.get("answer", "")
    if not isinstance(text, str) or not text.strip():
        raise ValueError('"question" is no text')
    if relevant is not None and not (
        isinstance(relevant, list) and all(isinstance(name, str) for name in relevant)
    ):
        raise ValueError('"relevant" is no list of documents')
    if not isinstance(answer, str):
        raise ValueError('"answer" is no text')
    names = None if relevant is None else tuple(dict.fromkeys(relevant))
    return Question(text=text, relevant=names, answer=answer)


def made_questions(chunks: Iterable[StoredChunk], count: int, seed: int) -> tuple[Question, ...]:
    """Questions whose answers are known to stand in one document each.

    Args:
        chunks: Of the index, as far as who asks may read them.
        count: How many are wanted; fewer come back where there are fewer sentences to make them of.
        seed: Decides which.

    Raises:
        DataError: No sentence of these documents has words enough.
    """
    generator = np.random.default_rng(seed)
    held = list(chunks)
    words_of = [_words(chunk.text) for chunk in held]
    frequency = Counter(word for words in words_of for word in set(words))
    found: dict[str, Question] = {}
    for number in generator.permutation(len(held)).tolist():
        if len(found) == count:
            break
        text = _remembered(held[number], frequency, len(held), generator)
        if text is not None:
            found[text] = Question(text=text, relevant=(held[number].path,))
    if not found:
        raise DataError("no sentence of these documents has words enough to make a question of")
    return tuple(found.values())


def _remembered(
    chunk: StoredChunk, frequency: Counter[str], num_chunks: int, generator: np.random.Generator
) -> str | None:
    """Some of the rarer words of one of a chunk's sentences, in their order."""
    spans = [(start, end) for start, end in sentence_spans(chunk.text, chunk.language)]
    sentences = [words for start, end in spans if len(words := _words(chunk.text[start:end])) >= _LEAST_WORDS]
    if not sentences:
        return None
    words = list(dict.fromkeys(sentences[generator.integers(len(sentences))]))
    weight = {word: math.log(1 + num_chunks / frequency[word]) for word in words}
    count = min(len(words), int(generator.integers(_LEAST_WORDS, _MOST_WORDS + 1)))
    # Efraimidis and Spirakis (2006): the largest of u^(1/w) are a weighted sample without replacement
    drawn = sorted(words, key=lambda word: generator.random() ** (1 / weight[word]), reverse=True)[:count]
    return " ".join(word for word in words if word in set(drawn)) if count >= _LEAST_WORDS else None


def _words(text: str) -> Sequence[str]:
    letters = "".join(character if character.isalnum() else " " for character in text)
    return [word for word in letters.split() if len(word) >= _LEAST_LETTERS and not word.isdigit()]
