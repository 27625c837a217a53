"""Texts that a language model trained here writes: a prompt, and what it goes on with.

Each text draws from its own stream, so that the seed and its number alone decide it.
"""

from collections.abc import Sequence

import torch

from creuset.data.tokenizer import Tokenizer
from creuset.device import stream
from creuset.errors import UsageError
from creuset.generation.sampling import Sampling, choose
from creuset.models.language_model import LanguageModel

START = "\n"
"""Stands before a text without a prompt: what follows a line end is the beginning of something."""


def prompt_ids(tokenizer: Tokenizer, prompt: str) -> list[int]:
    """The tokens of a prompt, of START where it is empty.

    Raises:
        UsageError: It holds what the tokenizer has no token for, or no token at all.
    """
    ids = tokenizer.encode(prompt or START, add_special=False) or list(tokenizer.special.eos[:1])
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
        raise UsageError("the prompt holds no token", where="prompt", got=repr(prompt))
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

    A text ends before a token that ends texts, or after `max_tokens`. Tokens that stand for no text (padding,
    unknown) are not drawn.

    Args:
        model: In evaluation mode, on `device`.
        tokenizer: The one that it was trained with.
        prompt: What the texts go on from; START where it is empty.
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
    ids = prompt_ids(tokenizer, prompt)
    banned = {number: float("-inf") for number in _never_drawn(model, tokenizer)}
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
            if chosen in tokenizer.special.eos:
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


def _never_drawn(model: LanguageModel, tokenizer: Tokenizer) -> list[int]:
    """Special tokens but those that end a text, and rows of the embedding that no token has."""
    special = tokenizer.skipped_ids - set(tokenizer.special.eos)
    return [*sorted(special), *range(tokenizer.vocab_size, model.vocab_size)]


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
