"""The suite `text`: how likely a language model finds the documents of a split."""

from creuset.data.dataset import Dataset
from creuset.data.text_loss import text_loss
from creuset.evaluation.suite import Evaluation, Subject
from creuset.generation.text_likelihoods import document_likelihoods, nats_by_place, no_bits, text_scores
from creuset.metrics.signature import Context
from creuset.models.language_model import LanguageModel
from creuset.progress import Progress


def text_suite(
    subject: Subject, dataset: Dataset, split: str, context: Context, progress: Progress
) -> Evaluation:
    """Nats per token, perplexity and bits per byte, each document read in sliding windows.

    Bits per byte are left out, and no bytes are kept, where the tokenizer loses something of the documents.
    """
    model, stream, tokenizer = subject.model, dataset.split(split).stream, dataset.tokenizer
    assert isinstance(model, LanguageModel)
    assert stream is not None
    assert tokenizer is not None
    found = document_likelihoods(model, stream, tokenizer, device=subject.device, progress=progress)
    loss = text_loss(tokenizer, (document.text for document in stream.documents))
    rows = {"nats": found.nats, "num_tokens": found.num_tokens}
    return Evaluation(
        suite="text",
        split=split,
        scores=text_scores(found, loss=loss, context=context),
        details={"nats_by_place": nats_by_place(model, stream, device=subject.device)},
        remarks=no_bits(loss),
        rows=rows if loss else {**rows, "num_bytes": found.num_bytes},
    )
