"""Files of analogies: "a is to b as c is to d", four words a line, under the names of their sections.

    : capital-common-countries
    Athens Greece Baghdad Iraq

Source: the form of questions-words.txt, which came with the program word2vec (Mikolov et al. 2013).
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from creuset.data.text_lines import read_lines
from creuset.errors import DataError

_MARK = ":"
_NUM_WORDS = 4


@dataclass(frozen=True, kw_only=True)
class Analogy:
    """One question: `a` is to `b` as `c` is to `d`, and `d` is asked for.

    Args:
        section: The name above it.
        words: a, b, c and d, as the file writes them.
    """

    section: str
    words: tuple[str, str, str, str]


@dataclass(frozen=True, kw_only=True)
class AnalogyQuestions:
    """The questions of a file.

    Args:
        source: The file's name.
        questions: In their order.
    """

    source: str
    questions: tuple[Analogy, ...]

    @property
    def sections(self) -> tuple[str, ...]:
        """The names of the sections in their order."""
        return tuple(dict.fromkeys(question.section for question in self.questions))

    @property
    def content_hash(self) -> str:
        """SHA-256 of sections and words, whatever stands between them in the file."""
        content = [[question.section, *question.words] for question in self.questions]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def read_analogies(path: Path | str) -> AnalogyQuestions:
    """The questions of a file; empty lines are passed over.

    Raises:
        NotFoundError: There is no such file.
        DataError: A line that is no question, as file:line, or a file without any.
    """
    file = Path(path)
    section: str | None = None
    questions: list[Analogy] = []
    for number, line in enumerate(read_lines(file), 1):
        words = line.split()
        if not words:
            continue
        if words[0].startswith(_MARK):
            section = line.strip().removeprefix(_MARK).strip()
            if not section:
                raise _wrong(file, number, line, f'"{_MARK} " and the name of a section')
        elif section is None:
            raise _wrong(file, number, line, f'a section before the first question, such as "{_MARK} family"')
        elif len(words) != _NUM_WORDS:
            raise _wrong(file, number, line, f"{_NUM_WORDS} words: a b c d, where a is to b as c is to d")
        else:
            a, b, c, d = words
            questions.append(Analogy(section=section, words=(a, b, c, d)))
    if not questions:
        raise DataError(
            "no question in this file", where=file, expected="lines of four words below a section"
        )
    return AnalogyQuestions(source=file.name, questions=tuple(questions))


def _wrong(file: Path, number: int, line: str, expected: str) -> DataError:
    return DataError(
        "this line is no analogy", where=f"{file}:{number}", got=f'"{line.strip()[:60]}"', expected=expected
    )
