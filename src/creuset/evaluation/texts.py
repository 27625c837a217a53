"""The suite `text`: how likely a language model finds the documents of a split."""

from creuset.data.dataset import Dataset
from creuset.evaluation.suite import Evaluation, Subject
from creuset.generation.text_likelihoods import document_likelihoods, nats_by_place, text_scores
from creuset.metrics.signature import Context
from creuset.models.language_model import LanguageModel
from creuset.progress import Progress


def text_suite(
    subject: Subject, dataset: Dataset, split: str, context: Context, progress: Progress
) -> Evaluation:
    """Nats per token, perplexity and bits per byte, each document read in sliding windows."""
    model, stream, tokenizer = subject.model, dataset.split(split).stream, dataset.tokenizer
    assert isinstance(model, LanguageModel)
    assert stream is not None
    assert tokenizer is not None
    found = document_likelihoods(model, stream, tokenizer, device=subject.device, progress=progress)
    return Evaluation(
        suite="text",
        split=split,
        scores=text_scores(found, context=context),
        details={"nats_by_place": nats_by_place(model, stream, device=subject.device)},
        rows={"nats": found.nats, "num_tokens": found.num_tokens, "num_bytes": found.num_bytes},
    )
