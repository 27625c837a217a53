"""Pairs that a text embedder is tuned on: a text, the anchor, and what belongs to it, the positive.

    form       a record
    anchor     {"anchor": ..., "positive": ...}
    query      {"query": ..., "positive": ...}
    question   {"question": ..., "passage": ...}

Each may hold a "negative": a text that only seems to belong to the anchor. Without one, or with null, a pair
has none, and neither has one whose cell in a CSV file is empty. White space around a text is taken off.

Source: the names are those of sentence-transformers.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from creuset.data.csv_file import CSV_SUFFIXES
from creuset.data.records import Record
from creuset.data.turns import Fault, text_of

PAIR_NAMES: Mapping[str, tuple[str, str]] = {
    "anchor": ("anchor", "positive"),
    "query": ("query", "positive"),
    "question": ("question", "passage"),
}
"""What the anchor and the positive of a record of each form are called."""
_NEGATIVE = "negative"


@dataclass(frozen=True, kw_only=True)
class AnchoredPair:
    """A text and what belongs to it, each without white space around.

    Args:
        anchor: The text.
        positive: What belongs to it, another text.
        place: file:line.
        negative: What only seems to, another text than both; "" where there is none.
    """

    anchor: str
    positive: str
    place: str
    negative: str = ""


def read_pair(record: Record) -> AnchoredPair:
    """The pair of a record, which has one of the forms.

    Raises:
        Fault: A text is none or empty, or two that must differ are equal.
    """
    values = record.values
    first, second = next(names for names in PAIR_NAMES.values() if values.keys() >= set(names))
    anchor, positive = (text_of(values[name], name).strip() for name in (first, second))
    negative = ""
    given = values.get(_NEGATIVE)
    if given is not None and not (given == "" and record.file.lower().endswith(CSV_SUFFIXES)):
        negative = text_of(given, _NEGATIVE).strip()
    if anchor == positive:
        raise Fault(f"{first} equals {second}, so there is nothing to learn")
    if anchor == negative:
        raise Fault(f"{first} equals {_NEGATIVE}: a text always belongs to itself")
    if positive == negative:
        raise Fault(f"{second} equals {_NEGATIVE}: it cannot belong to the {first} and not belong to it")
    return AnchoredPair(anchor=anchor, positive=positive, place=record.place, negative=negative)
