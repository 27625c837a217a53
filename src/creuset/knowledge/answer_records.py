"""What was asked and answered, and what each sentence of an answer rests on."""

from dataclasses import dataclass
from typing import Literal

from creuset.knowledge.records import Access

Mode = Literal["strict", "mark", "free"]
"""What becomes of a sentence that nothing supports: withheld, shown and marked, or shown as it is."""
Origin = Literal["generated", "extracted"]


@dataclass(frozen=True, kw_only=True)
class Citation:
    """Where a sentence of an answer is proved.

    Args:
        chunk_id: The chunk that it was found in.
        document_id: The version of the document.
        path: Its name.
        version: From 1.
        page: That the quote begins on; None where there are none.
        start, end: The quote's characters in the document.
        quote: Just these.
        support: How far the quote supports the sentence, in [0, 1].
    """

    chunk_id: int
    document_id: int
    path: str
    version: int
    page: int | None
    start: int
    end: int
    quote: str
    support: float


@dataclass(frozen=True, kw_only=True)
class AnswerSentence:
    """A sentence of an answer.

    Args:
        text: As it is shown.
        citations: What proves it, the best first; () where nothing does.
        support: The best support that was found, in [0, 1], also where it is below what is asked.
    """

    text: str
    citations: tuple[Citation, ...] = ()
    support: float = 0.0

    @property
    def is_supported(self) -> bool:
        return bool(self.citations)


@dataclass(frozen=True, kw_only=True)
class AnswerRecord:
    """An answer as the store keeps it, so that it can be given again.

    Args:
        id: Its number; 0 before it is stored.
        time: When, ISO 8601 in UTC.
        question: As it was asked.
        asked: As it was searched for, which differs where it follows other turns of a conversation.
        conversation: The turns before, (role, content) each.
        access: Who asked.
        generation: Of the store.
        model: That wrote it; "" where it was extracted without one.
        model_sha256: Of its weights; "" likewise.
        seed: That it was drawn with.
        mode: What became of sentences that nothing supports.
        settings: All else that decided it, as JSON.
        origin: Written by the model, or taken from the documents.
        sentences: Of the answer, in order, with their proofs; those that were withheld are not among them.
        num_withheld: Sentences that nothing supported and that were left out.
        is_refused: The sources do not say.
        evidence: The ids of the chunks that the answer was made from, in order.
        left_out: The ids of chunks that were found and had no room in the prompt.
        confidence: How strong the evidence is, in [0, 1].
    """

    question: str
    asked: str
    access: Access
    generation: int
    mode: Mode
    origin: Origin
    sentences: tuple[AnswerSentence, ...]
    is_refused: bool
    evidence: tuple[int, ...]
    confidence: float
    conversation: tuple[tuple[str, str], ...] = ()
    model: str = ""
    model_sha256: str = ""
    seed: int = 0
    settings: str = "{}"
    num_withheld: int = 0
    left_out: tuple[int, ...] = ()
    time: str = ""
    id: int = 0

    @property
    def text(self) -> str:
        return " ".join(sentence.text for sentence in self.sentences)
