"""What is looked at before a classifier is tuned on texts with classes (`gate.py`).

    two labels    a text that has one class here and another one there (a warning of few: people who rate what
                  others said do not always agree)
    leak          a training text that stands in the evaluation as well
    cut           a text of which only the beginning is read (a warning)
    duplicates    equal training texts of one class (a warning)

Texts are equal but for white space around them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from creuset.data.dataset import Dataset, Split
from creuset.data.source import counted
from creuset.progress import TRAINED_BEGIN, TRAINED_END
from creuset.training.gate import Finding, GateReport

_SHOWN_CHARACTERS = 300
_MOST_CONTRADICTED = 0.01
"""The share of texts with another class elsewhere above which they stop a training: of 18,656 sentences that
people rated, from tweets, reviews and news, 12 have two classes."""


@dataclass(frozen=True, kw_only=True)
class _Text:
    """A text, its class, its place, its tokens, and whether it is trained."""

    text: str
    label: str
    place: str
    num_tokens: int
    trained: bool

    @property
    def shown(self) -> str:
        """In one line, its class between marks."""
        text = self.text.replace("\n", "\\n")
        half = _SHOWN_CHARACTERS // 2
        short = text if len(text) <= _SHOWN_CHARACTERS else f"{text[:half]} [...] {text[-half:]}"
        return f"{short} {TRAINED_BEGIN}{self.label}{TRAINED_END}"


def look_at_classes(dataset: Dataset) -> GateReport:
    """What is wrong with texts with classes, or worth knowing.

    Args:
        dataset: Cut by a base's tokenizer.
    """
    texts = [
        text for name, split in dataset.splits.items() for text in _texts(dataset, split, name == "train")
    ]
    training = [text for text in texts if text.trained]
    limit = dataset.spec.max_tokens
    contradicted = _of_two_classes(texts)
    found = [
        _finding(
            "two labels",
            contradicted,
            "that has another class elsewhere",
            "decide which class is right, and remove the other row",
            fatal=len(contradicted) > _MOST_CONTRADICTED * len(texts),
        ),
        _finding(
            "leak",
            _leaked(texts),
            "that is trained stands in the evaluation as well",
            "give other texts to evaluate on",
            fatal=True,
        ),
        _finding(
            "cut",
            [text for text in texts if text.num_tokens > limit],
            f"of more than {limit:,} tokens, of which only the first ones are read",
            "shorten these texts, raise data.max_tokens, or take a base that reads longer ones",
        ),
        _finding(
            "duplicates",
            _repeated(training),
            "that equals an earlier one",
            "remove it, if it is not meant to count twice",
        ),
    ]
    findings = tuple(finding for finding in found if finding is not None)
    return GateReport(
        findings=findings,
        num_rows=len(training),
        num_tokens=sum(min(text.num_tokens, limit) for text in training),
        num_trained=len(training),
        longest=max(text.num_tokens for text in training),
        context=limit,
        num_classes=len(dataset.spec.class_names),
        sample=training[0].shown,
    )


def _texts(dataset: Dataset, split: Split, trained: bool) -> Iterator[_Text]:
    assert split.labels is not None
    assert split.num_tokens is not None
    rows = zip(split.texts, split.labels.tolist(), split.names, split.num_tokens.tolist(), strict=True)
    for text, label, place, num_tokens in rows:
        name = dataset.spec.class_names[label]
        yield _Text(text=text.strip(), label=name, place=place, num_tokens=num_tokens, trained=trained)


def _finding(
    name: str, wrong: list[_Text], message: str, next_step: str, *, fatal: bool = False
) -> Finding | None:
    if not wrong:
        return None
    return Finding(
        name=name,
        fatal=fatal,
        message=f"{counted(len(wrong), 'text')} {message}",
        places=tuple(text.place for text in wrong),
        shown="; ".join(text.shown for text in (wrong[:2] if name == "two labels" else wrong[:1])),
        next_step=next_step,
    )


def _of_two_classes(texts: list[_Text]) -> list[_Text]:
    """Those that have another class elsewhere, equal ones behind each other."""
    classes: dict[str, set[str]] = {}
    for text in texts:
        classes.setdefault(text.text, set()).add(text.label)
    wrong = [text for text in texts if len(classes[text.text]) > 1]
    return sorted(wrong, key=lambda text: text.text)


def _leaked(texts: list[_Text]) -> list[_Text]:
    measured = {text.text for text in texts if not text.trained}
    return [text for text in texts if text.trained and text.text in measured]


def _repeated(texts: list[_Text]) -> list[_Text]:
    seen: set[tuple[str, str]] = set()
    again = []
    for text in texts:
        if (text.text, text.label) in seen:
            again.append(text)
        seen.add((text.text, text.label))
    return again
