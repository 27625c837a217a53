"""The suite `pairs`: how likely an encoder with its decoder finds targets, and how near what it writes comes.

Of pairs of texts BLEU and chrF hold what a beam search writes against the references, beside what a copy of
the source would score. Of plain text it is asked which spans that were taken out it fills in exactly. Writing
takes longer than reading, so it is done for the first samples of a split alone, in the order of their hashes
or of the text, and a remark says of how many.

Legend of shapes: N samples of the split, M of which targets are written.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from creuset.data.dataset import Dataset
from creuset.data.source import counted
from creuset.data.text_loss import text_loss
from creuset.data.token_stream import IGNORED
from creuset.data.tokenizer import Tokenizer
from creuset.device import BatchGenerator
from creuset.evaluation.shares import ratio_score, rows_of_ratio
from creuset.evaluation.suite import Evaluation, Subject
from creuset.generation.text_likelihoods import no_bits, text_scores, token_scores
from creuset.generation.transduction import NUM_BEAMS, best_targets, pairs_of, spans, taking_out, targets
from creuset.metrics.signature import Context, FieldValue
from creuset.metrics.text.bleu import bleu
from creuset.metrics.text.chrf import chrf
from creuset.metrics.text.perplexity import DocumentLikelihoods, WindowSetting
from creuset.metrics.text.rows import TextRows, mean_rows, mean_statistic
from creuset.models.base import Batch
from creuset.models.encoder_decoder import EncoderDecoder
from creuset.progress import Progress

NUM_WRITTEN = 200
"""Samples of which targets are written."""
COPIED = "_copied"
"""Behind the name of a metric: of a copy of the source."""
_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """What is measured: a model, and the samples of one split."""

    model: EncoderDecoder
    dataset: Dataset
    split: str
    draws: BatchGenerator

    @property
    def tokenizer(self) -> Tokenizer:
        assert self.dataset.tokenizer is not None
        return self.dataset.tokenizer

    @property
    def num_samples(self) -> int:
        return self.dataset.split(self.split).num_samples

    def batch(self, start: int, stop: int) -> Batch:
        """Samples [start, stop), as far as there are any, as sources and targets."""
        return pairs_of(self.model, self.dataset, self.split, start, min(stop, self.num_samples), self.draws)


def pairs_suite(
    subject: Subject, dataset: Dataset, split: str, context: Context, progress: Progress
) -> Evaluation:
    """Nats per target token, perplexity and the nats of a whole target; and what is written."""
    model = subject.model
    assert isinstance(model, EncoderDecoder)
    draws = taking_out(dataset, split, device=subject.device, seed=context.seed)
    measured = _Measured(model=model, dataset=dataset, split=split, draws=draws)
    likelihoods = _likelihoods(measured, progress)
    whole = TextRows(
        metric="target_nll",
        unit="nats",
        better="lower",
        rows=mean_rows(likelihoods.nats),
        statistic=mean_statistic,
        spread="t",
        fields={"tokenizer": likelihoods.tokenizer},
    )
    part = dataset.split(split)
    told = [document.text for document in part.stream.documents] if part.stream is not None else []
    loss = text_loss(measured.tokenizer, told if part.pairs is None else part.pairs.targets)
    if model.corruption is None:
        context = replace(context, extra={**context.extra, "given": "source"})
        read = [*text_scores(likelihoods, loss=loss, context=context), whole.score(context=context)]
        found = _translated(measured, context, progress)
        found = replace(found, remarks=[*no_bits(loss), *found.remarks])
    else:
        form = model.corruption
        taken_out: dict[str, FieldValue] = {
            "given": "corrupted",
            "density": form.density,
            "mean_span": form.mean_span,
        }
        context = replace(context, extra={**context.extra, **taken_out, "corruption_seed": context.seed})
        read = [*token_scores(likelihoods, loss=loss, context=context), whole.score(context=context)]
        found = _filled(measured, context, progress)
    rows = {"nats": likelihoods.nats, "num_tokens": likelihoods.num_tokens, "target_nll": likelihoods.nats}
    return replace(found, scores=[*read, *found.scores], rows={**rows, **found.rows})


def _likelihoods(measured: _Measured, progress: Progress) -> DocumentLikelihoods:
    """Nats and tokens of each target with its end, and for pairs its bytes."""
    model, number = measured.model, measured.num_samples
    nats, num_tokens = np.zeros(number), np.zeros(number)
    progress.start("likelihood", number, "samples")
    for start in range(0, number, _AT_ONCE):
        batch = measured.batch(start, start + _AT_ONCE)
        place = slice(start, start + _AT_ONCE)
        nats[place] = model.target_nats(batch).double().sum(1).cpu().numpy()
        num_tokens[place] = (batch["targets"] != IGNORED).sum(1).cpu().numpy()
        progress.advance(min(number, start + _AT_ONCE))
    progress.finish()
    pairs = measured.dataset.split(measured.split).pairs
    num_bytes = np.zeros(number)  # of spans: nothing is made of them
    if pairs is not None:
        num_bytes = np.array([len(text.encode()) for text in pairs.targets], dtype=np.float64)
    return DocumentLikelihoods(
        nats=nats,
        num_tokens=num_tokens,
        num_bytes=num_bytes,
        tokenizer=measured.tokenizer.fingerprint[:16],
        windows=WindowSetting(context_length=model.context, stride=model.context),
    )


def _translated(measured: _Measured, context: Context, progress: Progress) -> Evaluation:
    """BLEU and chrF of the best targets, and of copies of the sources."""
    pairs = measured.dataset.split(measured.split).pairs
    assert pairs is not None
    written = _written(measured, progress)
    outputs = [measured.tokenizer.decode(_text_ids(measured, ids)) for ids in written]
    references, sources = pairs.targets[: len(outputs)], pairs.sources[: len(outputs)]
    context = replace(context, extra={**context.extra, "beams": NUM_BEAMS})
    scores = [metric(outputs, references, context=context) for metric in (bleu, chrf)]
    copies = [metric(sources, references, context=context) for metric in (bleu, chrf)]
    return Evaluation(
        suite="pairs",
        split=measured.split,
        scores=scores,
        floors=[replace(score, metric=score.metric + COPIED) for score in copies],
        remarks=_limit(measured, len(outputs), "pair", "BLEU and chrF are"),
    )


def _filled(measured: _Measured, context: Context, progress: Progress) -> Evaluation:
    """Which spans of each block come back exactly."""
    model = measured.model
    written = _written(measured, progress)
    wanted = [spans(model, target) for target in targets(model, measured.batch(0, len(written)))]
    hits = _hits(wanted, [spans(model, ids) for ids in written])
    sizes = np.array([len(gaps) for gaps in wanted])
    score = ratio_score(
        "spans_filled",
        hits,
        sizes,
        unit="fraction",
        better="higher",
        clusters="blocks",
        fields={"beams": NUM_BEAMS, "tokenizer": measured.tokenizer.fingerprint[:16]},
        context=context,
    )
    return Evaluation(
        suite="pairs",
        split=measured.split,
        scores=[score],
        rows={"spans_filled": rows_of_ratio(hits, sizes)},
        remarks=_limit(measured, len(written), "block", "the share of spans that are filled in exactly is"),
    )


def _hits(
    wanted: list[dict[int, tuple[int, ...]]], found: list[dict[int, tuple[int, ...]]]
) -> NDArray[np.int64]:
    """How many of each block's spans were written exactly, (M,)."""
    return np.array(
        [
            sum(ours.get(gap) == span for gap, span in theirs.items())
            for theirs, ours in zip(wanted, found, strict=True)
        ]
    )


def _written(measured: _Measured, progress: Progress) -> list[list[int]]:
    """The best target of each of the first samples, without its end mark."""
    number = min(NUM_WRITTEN, measured.num_samples)
    progress.start("writing", number, "texts")
    found = best_targets(measured.model, measured.batch(0, number), progress=progress)
    progress.finish()
    return [beams[0] for beams in found]


def _text_ids(measured: _Measured, ids: list[int]) -> list[int]:
    return [number for number in ids if number < measured.model.tokenizer_size]


def _limit(measured: _Measured, number: int, noun: str, what: str) -> list[str]:
    if number == measured.num_samples:
        return []
    return [f"{what} of the first {counted(number, noun)} of {measured.num_samples:,}"]
