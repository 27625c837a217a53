"""Texts that a language model trained here writes: a prompt, and what it goes on with.

Each text draws from its own stream, so that the seed and its number alone decide it.
"""

from collections.abc import Sequence

import torch

from creuset.data.text_start import usual_start
from creuset.data.tokenizer import Tokenizer
from creuset.device import stream
from creuset.errors import UsageError
from creuset.generation.sampling import Sampling, choose
from creuset.models.language_model import LanguageModel


def prompt_ids(tokenizer: Tokenizer, prompt: str) -> list[int]:
    """The tokens of a prompt.

    Raises:
        UsageError: It holds what the tokenizer has no token for, or no token at all.
    """
    ids = tokenizer.encode(prompt, add_special=False)
    unknown = tokenizer.special.unk
    if unknown is not None and unknown in ids:
        unreadable = [each for each in dict.fromkeys(prompt) if unknown in tokenizer.encode(each, False)]
        raise UsageError(
            "the prompt holds what the model has no token for",
            where="prompt",
            got=", ".join(map(repr, unreadable)) or repr(prompt[:80]),
            expected="what stands in the texts that the tokenizer was learned from",
        )
    if not ids:
        raise UsageError(
            "the prompt holds no token", where="prompt", got=repr(prompt) if prompt else "an empty text"
        )
    return ids


def continuations(
    model: LanguageModel,
    tokenizer: Tokenizer,
    prompt: str,
    *,
    num_texts: int,
    max_tokens: int,
    sampling: Sampling,
    device: torch.device,
) -> list[str]:
    """What the model writes behind a prompt, without the prompt.

    A text ends before a token that ends texts or stands between them, or after `max_tokens`. Tokens that
    stand for no text (padding, unknown) are not drawn.

    Args:
        model: In evaluation mode, on `device`.
        tokenizer: The one that it was trained with.
        prompt: What the texts go on from; where it is empty, the token behind which the model's texts begin.
        num_texts: From 1.
        max_tokens: Tokens of each text at most, from 1.
        sampling: How tokens are chosen; its seed decides the draws.
        device: Where the model is.

    Raises:
        UsageError: A number below 1, a prompt longer than the context, or with what no token stands for.
    """
    for name, value in (("num_texts", num_texts), ("max_tokens", max_tokens)):
        if value < 1:
            raise UsageError("nothing would be written", where=name, got=value, expected="at least 1")
    ids = prompt_ids(tokenizer, prompt) if prompt else [_start(model, tokenizer)]
    ends = _ends(model, tokenizer)
    banned = {number: float("-inf") for number in _never_drawn(model, tokenizer) if number not in ends}
    generators = [stream(sampling.seed, "text", number) for number in range(num_texts)]
    written: list[list[int]] = [[] for _ in range(num_texts)]
    ended = [False] * num_texts
    reader = model.reader(num_texts)
    tokens = torch.tensor([ids] * num_texts, device=device)
    chooser = _with_bias(sampling, banned)
    for _ in range(max_tokens):
        logits = reader.read(tokens).float().cpu()
        for row, generator in enumerate(generators):
            if ended[row]:
                continue
            chosen = choose(logits[row], chooser, [*ids, *written[row]], generator)
            if chosen in ends:
                ended[row] = True
            else:
                written[row].append(chosen)
        if all(ended):
            break
        tokens = torch.tensor([[row[-1] if row else ids[-1]] for row in written], device=device)
    return _decoded(tokenizer, ids, written)


def text_sheet(texts: Sequence[str]) -> str:
    """Texts one below another, each under its number, as one file."""
    return "".join(f"--- {number}\n{text.rstrip()}\n\n" for number, text in enumerate(texts, 1))


def _start(model: LanguageModel, tokenizer: Tokenizer) -> int:
    """What a text from nothing goes on from."""
    return usual_start(tokenizer) if model.start_token is None else model.start_token


def _ends(model: LanguageModel, tokenizer: Tokenizer) -> frozenset[int]:
    """The tokens that end a text, the separator of documents among them if the model learned from several."""
    separator = tokenizer.special.separator
    if separator is None or separator != model.start_token:
        return frozenset(tokenizer.special.eos)
    return frozenset((*tokenizer.special.eos, separator))


def _never_drawn(model: LanguageModel, tokenizer: Tokenizer) -> list[int]:
    """Special tokens, and rows of the embedding that no token has."""
    return [*sorted(tokenizer.skipped_ids), *range(tokenizer.vocab_size, model.vocab_size)]


def _with_bias(sampling: Sampling, bias: dict[int, float]) -> Sampling:
    return Sampling(**{**sampling.__dict__, "logit_bias": {**sampling.logit_bias, **bias}})


def _decoded(tokenizer: Tokenizer, prompt: Sequence[int], written: Sequence[Sequence[int]]) -> list[str]:
    """The texts, decoded behind the prompt: what a token reads as may depend on the one before."""
    before = tokenizer.decode(prompt)
    texts = []
    for ids in written:
        whole = tokenizer.decode([*prompt, *ids])
        texts.append(whole.removeprefix(before) if whole.startswith(before) else tokenizer.decode(ids))
    return texts
