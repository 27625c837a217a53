"""`creuset ask`: a question to an index, answered with proved citations, kept, and given again.

index.ask -> follow-up made a question of its own -> search -> is there evidence -> answer -> the store keeps
it
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

from creuset.engines.base import Engine
from creuset.engines.request import Message, Request
from creuset.errors import CheckpointError, UsageError
from creuset.generation.sampling import Sampling
from creuset.knowledge.analyzer import Analyzer
from creuset.knowledge.answer import AnswerSettings, Asked, Writer, answer, refusal
from creuset.knowledge.answer_records import AnswerRecord
from creuset.knowledge.evidence import DEFAULT_CONFIDENCE, confidence, term_weights
from creuset.knowledge.follow_up import standalone
from creuset.knowledge.records import Access, Filter, Hit
from creuset.knowledge.support import DEFAULT_SUPPORT
from creuset.workflows.index import Index

NUM_HITS = 8
"""Chunks that an answer may rest on."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer with what it rests on.

    Args:
        record: As the store keeps it.
        hits: The passages, the best first; those nearest to a question that is refused.
    """

    record: AnswerRecord
    hits: tuple[Hit, ...]

    @property
    def text(self) -> str:
        """What is shown: the sentences, or that the sources do not say."""
        return refusal(self.record.question) if self.refused else self.record.text

    @property
    def refused(self) -> bool:
        """Whether the sources do not say."""
        return self.record.is_refused

    @property
    def supported(self) -> bool:
        """Whether each sentence that is shown is proved by a citation."""
        return not self.refused and all(sentence.is_supported for sentence in self.record.sentences)


class EngineWriter(Writer):
    """An engine as what writes answers.

    Args:
        engine: A model with a chat template.
        sha256: Of its weights; "" where it is not known.

    Raises:
        UsageError: It has no chat template.
    """

    def __init__(self, engine: Engine, sha256: str = "") -> None:
        description = engine.describe()
        if "chat" not in description.abilities:
            raise UsageError(
                "this model has no chat template",
                where=description.name,
                next_step="use a model that was tuned on chats, or --extract",
            )
        self._engine = engine
        self.name, self.sha256 = description.name, sha256
        self.context_length = description.context_length

    def count_tokens(self, messages: Sequence[tuple[str, str]]) -> int:
        return self._engine.count_tokens(_request(messages, 1, 0))

    def write(self, messages: Sequence[tuple[str, str]], max_tokens: int, seed: int) -> Iterator[str]:
        for piece in self._engine.stream(_request(messages, max_tokens, seed)):
            yield piece.text


def ask(
    index: Index,
    question: str,
    *,
    access: Access,
    engine: Engine | None,
    sha256: str = "",
    settings: AnswerSettings | None = None,
    where: Filter | None = None,
    conversation: Sequence[tuple[str, str]] = (),
    keep: bool = True,
) -> Answer:
    """Answers a question from an index.

    Args:
        index: The index.
        question: In French or English.
        access: The groups of who asks.
        engine: Writes answers; None to take sentences of the documents.
        sha256: Of the engine's weights.
        settings: How; None for the index's own thresholds.
        where: Which documents; None for all.
        conversation: The turns before, (role, content) each.
        keep: Whether the store keeps the answer, so that it can be given again.

    Raises:
        UsageError: An empty question, or a model that cannot write answers.
    """
    chosen = answer_settings(index) if settings is None else settings
    asked = standalone(question, conversation, Analyzer())
    searched = Filter() if where is None else where
    hits = index.search(asked, k=NUM_HITS, access=access, where=searched)
    weights, sure = strength(index, asked, hits, access, searched)
    embedder = index.embedder()
    record = answer(
        Asked(
            question=question,
            asked=asked,
            hits=hits,
            confidence=sure,
            weights=weights,
            access=access,
            generation=index.store.generation,
            conversation=tuple(conversation),
        ),
        writer=None if engine is None else EngineWriter(engine, sha256),
        embedder=embedder,
        analyzer=Analyzer(),
        settings=chosen,
    )
    record = replace(record, settings=json.dumps(asdict(chosen)))
    _require_exact(index, record)
    if keep:
        record = replace(record, id=index.store.save_answer(record))
    return Answer(record=record, hits=tuple(hits))


def strength(
    index: Index, question: str, hits: Sequence[Hit], access: Access, where: Filter
) -> tuple[dict[str, float], float]:
    """The weights of a question's terms, and how surely the hits speak of it."""
    analyzer = Analyzer()
    allowed = index.store.allowed_documents(access, where)
    lexical = index.lexical()
    num_chunks = sum(map(len, lexical.allowed_rows(allowed)))
    weights = term_weights(lexical.question_frequencies(question, allowed), num_chunks)
    return weights, confidence(hits, analyzer.question_terms(question), weights, analyzer)


def answer_settings(index: Index) -> AnswerSettings:
    """The thresholds that an index was tuned to, else those that creuset begins with."""
    own = index.settings
    return AnswerSettings(
        confidence=DEFAULT_CONFIDENCE if own.confidence is None else own.confidence,
        support=DEFAULT_SUPPORT if own.support is None else own.support,
    )


def replay(index: Index, id: int, *, access: Access, engine: Engine | None, sha256: str = "") -> AnswerRecord:
    """An old answer given again: the same evidence, model and seed.

    Raises:
        NotFoundError: There is none; where it was purged, its receipt is named.
        UsageError: Another model than the one that wrote it.
        CheckpointError: Some of its evidence is gone.
    """
    old = index.answer(id, access)
    if old.model and (engine is None or (sha256, old.model_sha256) != (old.model_sha256, sha256)):
        raise UsageError(
            "another model than the one that wrote this answer",
            where=f"answer {id}",
            got=sha256 or "none",
            expected=f"{old.model} {old.model_sha256}".strip(),
            next_step=f"--model {old.model}",
        )
    chunks = index.store.chunks(old.evidence, access)
    if [chunk.id for chunk in chunks] != list(old.evidence):
        raise CheckpointError("some of this answer's documents are gone", where=f"answer {id}")
    hits = [Hit(chunk=chunk, score=0.0) for chunk in chunks]
    weights, _ = strength(index, old.asked, hits, access, Filter())
    again = answer(
        Asked(
            question=old.question,
            asked=old.asked,
            hits=hits,
            confidence=old.confidence,
            weights=weights,
            access=access,
            generation=old.generation,
            conversation=old.conversation,
        ),
        writer=None if engine is None or not old.model else EngineWriter(engine, sha256),
        embedder=index.embedder(),
        analyzer=Analyzer(),
        settings=AnswerSettings(**json.loads(old.settings)),
    )
    return replace(again, id=old.id, time=old.time, settings=old.settings)


def _require_exact(index: Index, record: AnswerRecord) -> None:
    """No citation is shown whose place does not hold its quote."""
    for sentence in record.sentences:
        for each in sentence.citations:
            held = index.store.text(each.document_id, each.start, each.end, record.access)
            if held != each.quote:
                raise CheckpointError(
                    "a quote is not what stands at its place",
                    where=each.path,
                    got=each.quote[:80],
                    expected=held[:80],
                    next_step=f"creuset index verify {index.name}",
                )


def _request(messages: Sequence[tuple[str, str]], max_tokens: int, seed: int) -> Request:
    return Request(
        messages=tuple(Message(role=role, content=content) for role, content in messages),
        max_tokens=max_tokens,
        sampling=Sampling(seed=seed),
    )
