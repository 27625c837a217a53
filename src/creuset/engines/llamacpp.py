"""The driver for GGUF files: llama.cpp in this process, through xllamacpp.

What llama.cpp does silently is refused here: a JSON schema that it cannot read (it would answer without any
constraint), a chat with a model that has no template (it would take another model's). A file is read by
creuset's own strict reader first, and loaded in a process of its own, since llama.cpp ends its process on
some that are damaged. Its chat template is run in creuset's sandbox, since llama.cpp runs it without limits.

Limits: of a character that several tokens make up llama.cpp names only the last; `usage` counts them all. It
quantizes activations, so its numbers differ from those of the same weights in float32, and a little with what
was computed in one batch: `reuse_prompt` gains time and costs this exactness.
"""

import json
import time
from collections.abc import Generator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from creuset.engines.base import (
    Ability,
    Description,
    FinishReason,
    Piece,
    TextLogProbs,
    TokenLogProb,
    Usage,
)
from creuset.engines.llamacpp_server import EventStream, LlamaServer, Pooling
from creuset.engines.llamacpp_trial import LoadingTrial
from creuset.engines.llamacpp_wire import (
    completion_body,
    finish_reason,
    forced_body,
    text_log_probs,
    token_log_probs,
)
from creuset.engines.own_sampling import sampling_of_gguf
from creuset.engines.request import Request
from creuset.engines.token_engine import TokenEngine, context_length_of
from creuset.errors import CreusetError, UsageError
from creuset.generation.stop_strings import StopStrings
from creuset.pretrained.gguf.file import GgufFile
from creuset.pretrained.gguf.metadata import Metadata
from creuset.pretrained.gguf.tokenizer import read_chat_template


class LlamaCpp(TokenEngine):
    """A GGUF model.

    Args:
        path: The file.
        name: What it is called in messages; None: the file's name.
        context_length: Tokens of prompt and answer together; None: what the model was trained for, 4,096 at
            most.
        num_threads: None: as many as torch uses.
        pooling: How `embed` makes one vector of a text: "model" as its file says, or the mean, the first or
            the last token's. None: no vectors.
        reuse_prompt: Keeps what two requests in a row begin with in common, such as a chat's history. It is
            faster, and equal requests may then differ in the last digits.
        adapter: A GGUF file of a low-rank adapter that is added while the model runs.

    Raises:
        NotFoundError: There is no such file.
        DataError: It is no GGUF file, or a damaged one.
        UsageError: A context longer than the model was trained for, a pooling that the file does not name.
        CreusetError: llama.cpp cannot load the model.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        name: str | None = None,
        context_length: int | None = None,
        num_threads: int | None = None,
        pooling: Pooling | None = None,
        reuse_prompt: bool = False,
        adapter: Path | None = None,
    ) -> None:
        with LoadingTrial(Path(path).absolute(), vectors=pooling is not None) as trial:
            file = GgufFile(Path(path))
            name = file.path.name if name is None else name
            architecture = file.metadata.text("general.architecture")
            trained = file.metadata.whole(f"{architecture}.context_length")
            context_length = context_length_of(trained, context_length, where=name)
            template = read_chat_template(file.metadata)
            sampling, _ = sampling_of_gguf(file.metadata)
            abilities = _abilities(file.metadata, pooling, name)
            trial.require_success()
        self._reuse_prompt = reuse_prompt
        self._enforced: str | None = None
        """The schema that was last seen to be kept to."""
        self.num_threads = torch.get_num_threads() if num_threads is None else num_threads
        self._server: LlamaServer | None = LlamaServer(
            file.path,
            context_length=context_length,
            num_threads=self.num_threads,
            pooling=pooling,
            adapter=adapter,
        )
        meta = self._server.ask("/v1/models")["data"][0]["meta"]
        description = Description(
            name=name,
            driver="llamacpp",
            context_length=context_length,
            vocab_size=meta["n_vocab"],
            precision=meta["ftype"],
            abilities=abilities,
            sampling=sampling,
        )
        super().__init__(description, template)

    def _answer(
        self, request: Request, prompt: list[int], max_tokens: int, started: float
    ) -> Generator[Piece, None, None]:
        if request.json_schema is not None:
            self._require_enforced(request.json_schema)
        if request.grammar is not None and request.grammar.startswith("%llguidance"):
            raise UsageError(
                "not a GBNF grammar", where="grammar", got="%llguidance", expected='root ::= "yes"'
            )
        body = completion_body(request, prompt, max_tokens, reuse_prompt=self._reuse_prompt)
        events = self._open_server().stream("/completion", body)
        self._track(events)
        return self._pieces(request, events, len(prompt), started)

    def _score(self, ids: list[int], start: int, num_top: int) -> TextLogProbs:
        """Each token takes as long as one that is generated: llama.cpp tells the probabilities of generated
        tokens alone, so each is forced in its turn."""
        server = self._open_server()
        scored: list[TokenLogProb] = []
        for place in range(start, len(ids)):
            # The first place is read anew, so that nothing depends on what was asked before.
            options = {"n_probs": max(num_top, 1), "cache_prompt": place > start}
            answer = server.ask("/completion", {**forced_body(ids[:place], ids[place]), **options})
            told = token_log_probs(answer, num_top)
            scored += told or (self._score_of_part(server, ids[: place + 1], num_top),)
        return text_log_probs(ids, start, scored)

    def _score_of_part(self, server: LlamaServer, ids: list[int], num_top: int) -> TokenLogProb:
        """The last token of `ids` where it is a part of a character: llama.cpp says nothing of such a token
        when it is generated, but names it among the alternatives to another one."""
        (whole,) = self._encode("a", whole=False)[:1]
        options = {"n_probs": self._description.vocab_size, "cache_prompt": True}
        answer = server.ask("/completion", {**forced_body(ids[:-1], whole), **options})
        for told in token_log_probs(answer, self._description.vocab_size):
            found = next((other for other in told.alternatives if other.token_id == ids[-1]), None)
            if found is not None:
                return replace(found, alternatives=told.alternatives[:num_top])
        raise CreusetError(
            "llama.cpp tells no probability of this token",
            where=f"{self._description.name}, token {len(ids)}",
            got=ids[-1],
            expected="a finite log-probability: the model's logits are far too large, or no numbers",
        )

    def _vectors(self, all_ids: list[list[int]]) -> NDArray[np.float32]:
        answer = self._open_server().ask("/v1/embeddings", {"input": all_ids})
        rows = sorted(answer["data"], key=lambda row: row["index"])
        return np.array([row["embedding"] for row in rows], np.float32)

    def _encode(self, text: str, *, whole: bool = True) -> list[int]:
        body = {"content": text, "add_special": whole, "parse_special": True}
        ids: list[int] = self._open_server().ask("/tokenize", body)["tokens"]
        return ids

    def _free(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _open_server(self) -> LlamaServer:
        server = self._server
        if server is None:
            raise self._closed()
        return server

    def _require_enforced(self, schema: Mapping[str, Any]) -> None:
        """Tries the schema out: llama.cpp is silent about one that it cannot read, and goes on without.

        Nothing in JSON begins with a closing parenthesis. Where the schema is kept to, that cannot be forced.
        """
        text = json.dumps(schema, sort_keys=True)
        if text == self._enforced:
            return
        never = self._encode(")", whole=False)[-1]
        body = {**forced_body([never], never), "json_schema": schema, "cache_prompt": False}
        if self._open_server().ask("/completion", body)["tokens"] == [never]:
            raise UsageError(
                "llama.cpp cannot hold an answer to this schema",
                where="json_schema",
                got=text[:200],
                expected="a JSON Schema with valid types, references and regular expressions",
            )
        self._enforced = text

    def _pieces(
        self, request: Request, events: EventStream, num_prompt_tokens: int, started: float
    ) -> Generator[Piece, None, None]:
        stops = StopStrings(request.stop)
        answer, num_tokens, first = "", 0, started
        reason: FinishReason | None = None
        try:
            for event in events:
                first = time.perf_counter() if num_tokens == 0 else first
                num_tokens = event["tokens_predicted"]
                answer += event["content"]
                reason = finish_reason(event)
                yield Piece(
                    text=stops.feed(event["content"]),
                    token_ids=tuple(event["tokens"]),
                    log_probs=() if reason else token_log_probs(event, request.num_logprobs),
                )
                reason = "stop" if stops.found is not None else reason
                if reason is not None:
                    break
            if reason is None:
                reason = self._why_cut(events)
        finally:
            events.stop()
        if reason == "stop" and stops.found is None and request.json_schema is not None:
            _require_json(answer)
        now = time.perf_counter()
        usage = Usage(
            num_prompt_tokens=num_prompt_tokens,
            num_completion_tokens=num_tokens,
            seconds_to_first_token=(first if num_tokens else now) - started,
            seconds=now - started,
        )
        yield Piece(text=stops.finish(), finish_reason=reason, usage=usage)

    def _why_cut(self, events: EventStream) -> FinishReason:
        if not events.stopped:
            raise CreusetError("llama.cpp ended in the middle of an answer", where=self._description.name)
        return "cancelled"


def _abilities(metadata: Metadata, pooling: Pooling | None, name: str) -> frozenset[Ability]:
    found: set[Ability] = {"json_schema", "grammar", "log_probs"}
    if "tokenizer.chat_template" in metadata:
        found.add("chat")
    if pooling is not None:
        found.add("embeddings")
    if pooling == "model" and f"{metadata.text('general.architecture')}.pooling_type" not in metadata:
        raise UsageError(
            "the file does not say how its vectors are pooled",
            where=name,
            got='pooling="model"',
            expected='"mean", "cls" or "last", as the model was trained',
        )
    return frozenset(found)


def _require_json(answer: str) -> None:
    try:
        json.loads(answer)
    except ValueError as error:
        raise CreusetError(
            "llama.cpp lost hold of the schema in the middle of the answer",
            where="json_schema",
            got=answer[-80:],
            expected="JSON",
            next_step="ask again with a simpler schema",
        ) from error
