"""JSON validity: how many of the texts are one JSON document, and the one that was asked for.

Source: Bray (2017), RFC 8259, "The JavaScript Object Notation (JSON) Data Interchange Format".
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from creuset.metrics.score import Score
from creuset.metrics.signature import NO_CONTEXT, Context
from creuset.metrics.text.pairs import as_texts
from creuset.metrics.text.rows import TextRows, mean_rows, mean_statistic


@dataclass(frozen=True, kw_only=True)
class JsonValidator:
    """What a document must be beyond valid, with the name that stands in signatures.

    Args:
        name: Such as "ticket.schema.json", better with its hash.
        accepts: A parsed document -> whether it is as asked; what it raises is not caught.
    """

    name: str
    accepts: Callable[[Any], bool]


def json_validity(
    texts: Sequence[str], *, validator: JsonValidator | None = None, context: Context = NO_CONTEXT
) -> Score:
    """The share of texts that are exactly one JSON document, and accepted, with Wilson's interval.

    NaN and Infinity, which RFC 8259 has not, are invalid, and so is any text around the document.

    Args:
        texts: N texts.
        validator: What else a document must be; None where valid is enough.
        context: Data and split.

    Raises:
        DataError: No texts.
    """
    return json_validity_rows(texts, validator=validator).score(context=context)


def json_validity_rows(texts: Sequence[str], *, validator: JsonValidator | None = None) -> TextRows:
    """The rows of JSON validity, one a text: 1 where it is as asked, else 0, and 1.

    Args and Raises: as `json_validity`.
    """
    return TextRows(
        metric="json_validity",
        unit="fraction",
        better="higher",
        rows=mean_rows([float(_is_asked_for(text, validator)) for text in as_texts("texts", texts)]),
        statistic=mean_statistic,
        spread="wilson",
        fields={"validator": "none" if validator is None else validator.name},
    )


def _is_asked_for(text: str, validator: JsonValidator | None) -> bool:
    try:
        document = json.loads(text, parse_constant=_refuse, parse_int=_whole)
    except (ValueError, RecursionError):  # RFC 8259, section 9: a parser may limit the depth of nesting
        return False
    return validator is None or validator.accepts(document)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _whole(digits: str) -> int | float:
    """A whole number; one too long for Python's int, which is valid JSON all the same, as a float."""
    try:
        return int(digits)
    except ValueError:
        return float(digits)
