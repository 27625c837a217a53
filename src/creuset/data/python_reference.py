"""The Python language reference as a corpus: English prose that most installations of Python bring.

`pydoc` holds the reference in one file of the standard library, pydoc_data/topics.py: a dictionary of topics,
which is read as text and never run. Topics overlap, since a section's topic holds those of its parts: they
are taken from the longest to the shortest, and of a paragraph that stands in several only the first is kept,
so that nothing of one document stands in another. Tables and underlines are left out. Each Python version has
a text of its own, about 340 kB, and so a content hash of its own. Its licence is that of Python.
"""

import ast
import platform
import sysconfig
from pathlib import Path

import numpy as np

from creuset.data.source import Part, Source, counted
from creuset.errors import DataError, NotFoundError

PYTHON_REFERENCE = "python-reference"
_FILE = Path("pydoc_data") / "topics.py"
_VARIABLE = "topics"


def read_python_reference() -> Source:
    """The reference of the Python that runs this, a document a topic.

    Raises:
        NotFoundError: This Python was installed without it.
        DataError: The file is not what pydoc reads.
    """
    path = Path(sysconfig.get_path("stdlib")) / _FILE
    if not path.is_file():
        raise NotFoundError(
            "this Python was installed without its language reference",
            where=path,
            next_step="name a text of your own: --set data.source=FILE",
        )
    documents = without_repetition(read_topics(path))
    texts = np.empty(len(documents), dtype=object)
    texts[:] = list(documents.values())
    origin = f"{counted(len(documents), 'topic')} of Python {platform.python_version()}'s language reference"
    return Source(
        origin=f"{PYTHON_REFERENCE}: {origin}",
        kind="corpus",
        num_levels=0,
        parts={"train": Part(inputs=texts, labels=None, names=tuple(documents))},
    )


def read_topics(path: Path) -> dict[str, str]:
    """The topics of a file such as pydoc_data/topics.py, whose one assignment is a dictionary of texts.

    Raises:
        DataError: It holds no such assignment.
    """
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        values = [
            ast.literal_eval(node.value)
            for node in tree.body
            if isinstance(node, ast.Assign)
            and [ast.unparse(target) for target in node.targets] == [_VARIABLE]
        ]
    except (SyntaxError, ValueError) as error:
        raise DataError("this file cannot be read", where=path, got=error) from error
    if len(values) != 1 or not isinstance(values[0], dict) or not values[0]:
        raise DataError("no topics in this file", where=path, expected=f"{_VARIABLE} = {{name: text, ..}}")
    return {str(name): str(text) for name, text in values[0].items()}


def without_repetition(topics: dict[str, str]) -> dict[str, str]:
    """The topics by their names, each with the paragraphs that no longer topic holds.

    Tables and the lines that underline headings are left out; a paragraph is the same where its words are.
    """
    seen: set[str] = set()
    kept: dict[str, str] = {}
    for name in sorted(topics, key=lambda name: (-len(topics[name]), name)):
        paragraphs = []
        for paragraph in topics[name].split("\n\n"):
            text = _without_underlines(paragraph)
            words = " ".join(text.split())
            if words and words not in seen and not _is_table(text):
                seen.add(words)
                paragraphs.append(text)
        if paragraphs:
            kept[name] = "\n\n".join(paragraphs) + "\n"
    return {name: kept[name] for name in sorted(kept)}


def _without_underlines(paragraph: str) -> str:
    lines = paragraph.splitlines()
    return "\n".join(line for line in lines if not _is_underline(line.strip()))


def _is_table(text: str) -> bool:
    return text.lstrip().startswith(("+-", "|"))


def _is_underline(line: str) -> bool:
    return len(line) > 2 and len(set(line)) == 1 and not line[0].isalnum()
