"""What a record of a file to tune on says, whatever its form (`conversations.py` reads them)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from creuset.data.anchored_pairs import AnchoredPair
from creuset.data.turns import Turn


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """Turns, at least one of them an answer.

    Args:
        turns: Oldest first.
        place: file:line.
        tools: Descriptions of functions, for templates that know them.
        untrained: The numbers of the assistant's turns that are not to be learned.
        others: The values of its record that the form does not read, by name.
    """

    turns: tuple[Turn, ...]
    place: str
    tools: tuple[Mapping[str, Any], ...] = ()
    untrained: frozenset[int] = frozenset()
    others: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RatedAnswer:
    """An answer that was found good or bad.

    Args:
        turns: What it answers.
        answer: The answer.
        good: Whether it is.
        place: file:line.
    """

    turns: tuple[Turn, ...]
    answer: tuple[Turn, ...]
    good: bool
    place: str


@dataclass(frozen=True, kw_only=True)
class Preference:
    """Two answers to the same turns.

    Args:
        turns: What both answer.
        chosen: The preferred answer.
        rejected: The other one.
        place: file:line.
    """

    turns: tuple[Turn, ...]
    chosen: tuple[Turn, ...]
    rejected: tuple[Turn, ...]
    place: str


@dataclass(frozen=True, kw_only=True)
class LabelledText:
    """A text, and its class where there is one.

    Args:
        text: Not empty.
        label: The class; "" of plain texts.
        place: file:line.
        group: What it belongs to, such as a document, whose rows stay in one split; "" where none is named.
    """

    text: str
    label: str
    place: str
    group: str = ""


Row = Conversation | RatedAnswer | Preference | LabelledText | AnchoredPair
