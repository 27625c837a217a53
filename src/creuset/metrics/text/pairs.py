"""What text metrics accept: texts, and for each text one reference or several.

Legend of shapes: N texts.
"""

from collections.abc import Sequence

from creuset.errors import DataError

References = Sequence[str] | Sequence[Sequence[str]]
"""For each hypothesis its reference, or a list of references, as many as it has."""


def as_texts(name: str, values: Sequence[str]) -> list[str]:
    """`values` as a list of texts, some of which may be empty.

    Raises:
        DataError: No texts, one text in place of a list, or something else than text among them.
    """
    if isinstance(values, str | bytes):
        raise DataError(
            "one text in place of a list of texts",
            where=name,
            got=f"{type(values).__name__} of {len(values)} characters",
            next_step=f"put it in a list: [{name}]",
        )
    texts = list(values)
    if not texts:
        raise DataError("nothing to measure", where=name, got="0 texts", expected="at least one")
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise DataError("not a text", where=f"{name}[{index}]", got=type(text).__name__, expected="str")
    return texts


def as_text_pairs(
    hypotheses: Sequence[str], references: References
) -> tuple[list[str], list[tuple[str, ...]]]:
    """Hypotheses and, for each, its references: N texts and N tuples of one text or more.

    Raises:
        DataError: As `as_texts`, unequal numbers, or a hypothesis without any reference.
    """
    texts = as_texts("hypotheses", hypotheses)
    if isinstance(references, str | bytes):
        as_texts("references", references)
    if len(references) != len(texts):
        raise DataError(
            "unequal numbers of texts",
            got=f"{len(texts)} hypotheses, {len(references)} references",
            expected="for each hypothesis a reference, or a list of references",
        )
    answers = [
        (reference,) if isinstance(reference, str) else tuple(as_texts(f"references[{index}]", reference))
        for index, reference in enumerate(references)
    ]
    return texts, answers


def num_references(references: Sequence[tuple[str, ...]]) -> int | str:
    """How many references each hypothesis has, or "var" where the numbers differ."""
    counts = {len(answers) for answers in references}
    return counts.pop() if len(counts) == 1 else "var"
