"""Sentence pairs for text metrics: the hypothesis is a damaged copy of its reference."""

import numpy as np

_WORDS = [
    "the",
    "a",
    "of",
    "to",
    "cat",
    "dogs",
    "runs",
    "running",
    "house,",
    "red-brick",
    "1,000",
    "isn't",
    "Paris",
    "Été",
    "l'eau",
    "naïve",
    "ça",
    "東京",
    "(maybe)",
    "end.",
    "really?",
    "translations",
    "translated",
    "quickly",
    "quick",
    "%",
    "&",
    "big",
    "bigger",
    "#7",
    "naïve",
]


def sentence(rng: np.random.Generator, *, longest: int = 18) -> str:
    """Up to `longest` words; one in twenty is empty."""
    if rng.random() < 0.05:
        return ""
    return " ".join(rng.choice(_WORDS, size=rng.integers(1, longest + 1)))


def damaged(text: str, rng: np.random.Generator) -> str:
    """The words dropped, replaced and moved at random; one in twenty is empty."""
    if rng.random() < 0.05:
        return ""
    words = [word for word in text.split() if rng.random() > 0.15]
    words = [str(rng.choice(_WORDS)) if rng.random() < 0.2 else word for word in words]
    if len(words) > 3 and rng.random() < 0.4:
        cut = int(rng.integers(1, len(words)))
        words = words[cut:] + words[:cut]
    return " ".join(words)


def pairs(num: int, seed: int = 0) -> tuple[list[str], list[str]]:
    """Hypotheses and references, some of either or both empty."""
    rng = np.random.default_rng(seed)
    references = [sentence(rng) for _ in range(num)]
    return [damaged(text, rng) for text in references], references
