"""What is looked at in pairs of texts before a text embedder is tuned on them, and refused where the tuning
or its measure would fail silently.

    unknown tokens   a text that the base's tokenizer does not know much of
    one positive     the same positive everywhere: there is nothing to tell apart
    leak             an anchor to measure on that is trained as well, or its pair the other way round
    cut              a text with more tokens than the base reads (a warning, with their share)
    alike            two texts of a pair that differ in nothing that is read (a warning)
    contradiction    a negative that is a positive of the same anchor elsewhere (a warning)
    known positive   a positive to measure on that is trained with another anchor (a warning)
    duplicates       equal training pairs (a warning)

Legend of shapes: N pairs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

from creuset.data.dataset import Split
from creuset.data.source import counted
from creuset.data.tokenizer import Tokenizer
from creuset.training.gate import Finding, GateReport

_MOST_UNKNOWN = 0.2
"""Share of a text's tokens."""
_SHOWN_CHARACTERS = 200
"""Of each text of a row."""
_SIDES = ("anchor", "positive", "negative")


@dataclass(frozen=True, kw_only=True)
class PairRow:
    """A pair as it is read.

    Args:
        texts: Anchor, positive and negative, "" without one.
        ids: The tokens that are read of each, without those around.
        num_tokens: Of each whole text, with those around.
        place: file:line.
    """

    texts: tuple[str, str, str]
    ids: tuple[tuple[int, ...], ...]
    num_tokens: tuple[int, ...]
    place: str

    @property
    def pair(self) -> tuple[str, str]:
        """Anchor and positive."""
        return self.texts[:2]


@dataclass(frozen=True, kw_only=True)
class _Looked:
    """What is looked at."""

    training: Sequence[PairRow]
    evaluation: Sequence[PairRow]
    unknown: int | None
    max_tokens: int

    def rows(self, is_so: Callable[[PairRow], bool]) -> list[PairRow]:
        """All rows for which it is so."""
        return [row for row in (*self.training, *self.evaluation) if is_so(row)]


@dataclass(frozen=True, kw_only=True)
class _Check:
    """One kind of finding: its name, which rows are so, what that means, and what to do."""

    name: str
    find: Callable[[_Looked], list[PairRow]]
    message: str
    next_step: str
    fatal: bool = True


def pair_rows(split: Split) -> list[PairRow]:
    """The pairs of a split of data that a base was given to read."""
    pairs = split.pairs
    assert pairs is not None
    assert split.num_tokens is not None
    sides = [pairs.source_rows, pairs.target_rows, pairs.negative_rows]
    negatives = pairs.negatives or ("",) * len(pairs.sources)
    return [
        PairRow(
            texts=(anchor, positive, negative),
            ids=tuple(() if side is None else tuple(side.row(number).tolist()) for side in sides),
            num_tokens=tuple(split.num_tokens[number].tolist()),
            place=split.names[number],
        )
        for number, (anchor, positive, negative) in enumerate(
            zip(pairs.sources, pairs.targets, negatives, strict=True)
        )
    ]


def look_at_pairs(
    training: Sequence[PairRow], evaluation: Sequence[PairRow], tokenizer: Tokenizer, *, max_tokens: int
) -> GateReport:
    """What is wrong with pairs, or worth knowing.

    Args:
        training: The pairs that are trained, one at least.
        evaluation: Those that are measured.
        tokenizer: The base's.
        max_tokens: Tokens of a text that are read, with those that the tokenizer puts around it.
    """
    looked = _Looked(
        training=training, evaluation=evaluation, unknown=tokenizer.special.unk, max_tokens=max_tokens
    )
    number = len(training) + len(evaluation)
    found = []
    for check in PAIR_CHECKS:
        wrong = check.find(looked)
        if wrong:
            message = check.message.format(max_tokens=max_tokens, share=len(wrong) / number)
            found.append(
                Finding(
                    name=check.name,
                    fatal=check.fatal,
                    message=f"{counted(len(wrong), 'row')} {message}",
                    places=tuple(row.place for row in wrong),
                    shown=_shown(wrong[0], max_tokens),
                    next_step=check.next_step,
                )
            )
    wrong_places = {place for finding in found if finding.fatal for place in finding.places}
    good = next((row for row in training if row.place not in wrong_places), None)
    lengths = [length for row in training for length in row.num_tokens]
    return GateReport(
        findings=tuple(found),
        num_rows=len(training),
        num_tokens=sum(lengths),
        num_trained=sum(min(length, max_tokens) for length in lengths),
        longest=max(lengths),
        sample="" if good is None else _shown(good, max_tokens),
        verb="read",
    )


def _shown(row: PairRow, max_tokens: int) -> str:
    """A row in one line, the middle of each text left out where it is long."""
    parts = []
    for name, text, length in zip(_SIDES, row.texts, row.num_tokens, strict=True):
        if text:
            half = _SHOWN_CHARACTERS // 2
            short = text if len(text) <= _SHOWN_CHARACTERS else f"{text[:half]} [...] {text[-half:]}"
            cut = f" ({length} tokens, of which {max_tokens} are read)" if length > max_tokens else ""
            parts.append(f"{name}{cut}: {short}".replace("\n", "\\n"))
    return " | ".join(parts)


def _is_unknown(row: PairRow, unknown: int | None) -> bool:
    return unknown is not None and any(
        ids.count(unknown) > _MOST_UNKNOWN * len(ids) for ids in row.ids if ids
    )


def _one_positive(looked: _Looked) -> list[PairRow]:
    """All training rows, where they have one positive and no negative."""
    same = len({row.texts[1:] for row in looked.training}) == 1 and not looked.training[0].texts[2]
    return list(looked.training) if same else []


def _leaked(looked: _Looked) -> list[PairRow]:
    anchors = {row.texts[0] for row in looked.training}
    turned = {row.pair[::-1] for row in looked.training}
    return [row for row in looked.evaluation if row.texts[0] in anchors or row.pair in turned]


def _contradictions(looked: _Looked) -> list[PairRow]:
    known = {row.pair for row in (*looked.training, *looked.evaluation)}
    return looked.rows(lambda row: (row.texts[0], row.texts[2]) in known)


def _known_positives(looked: _Looked) -> list[PairRow]:
    trained = {row.texts[1] for row in looked.training}
    leaked = {row.place for row in _leaked(looked)}
    return [row for row in looked.evaluation if row.texts[1] in trained and row.place not in leaked]


def _repeated(rows: Sequence[PairRow]) -> list[PairRow]:
    seen: set[tuple[str, str, str]] = set()
    again = []
    for row in rows:
        if row.texts in seen:
            again.append(row)
        seen.add(row.texts)
    return again


def _is_alike(row: PairRow) -> bool:
    """Whether two texts of a row are read alike."""
    return any(one == other for one, other in combinations([ids for ids in row.ids if ids], 2))


PAIR_CHECKS = (
    _Check(
        name="unknown tokens",
        find=lambda looked: looked.rows(lambda row: _is_unknown(row, looked.unknown)),
        message=f"with a text of which the tokenizer does not know more than {_MOST_UNKNOWN:.0%}",
        next_step="use a base that was trained on this language",
    ),
    _Check(
        name="one positive",
        find=_one_positive,
        message="that all have the same positive: there is nothing to tell apart",
        next_step="give each anchor the text that belongs to it alone, or negatives",
    ),
    _Check(
        name="leak",
        find=_leaked,
        message="to evaluate on, whose anchor is trained as well, or whose pair is the other way round",
        next_step="give other rows to evaluate on, or take these out of the training file",
    ),
    _Check(
        name="cut",
        find=lambda looked: looked.rows(lambda row: max(row.num_tokens) > looked.max_tokens),
        message="({share:.1%}) with a text of more than {max_tokens:,} tokens, whose end is not read",
        next_step="give passages that the base reads whole, or a base that reads longer texts",
        fatal=False,
    ),
    _Check(
        name="alike",
        find=lambda looked: looked.rows(_is_alike),
        message="two texts of which differ in nothing that the base reads",
        next_step="remove them: nothing is learned from them",
        fatal=False,
    ),
    _Check(
        name="contradiction",
        find=_contradictions,
        message="whose negative is the positive of the same anchor in another row",
        next_step="decide which it is",
        fatal=False,
    ),
    _Check(
        name="known positive",
        find=_known_positives,
        message="to evaluate on, whose positive is trained with another anchor",
        next_step="give rows with other positives to evaluate on, if the texts to find are to be unseen",
        fatal=False,
    ),
    _Check(
        name="duplicates",
        find=lambda looked: _repeated(looked.training),
        message="that equal an earlier one",
        next_step="remove them, if they are not meant to count twice",
        fatal=False,
    ),
)
"""Fatal ones first."""
