"""Skip-gram with negative sampling: a word tells the words around it from words drawn at random.

    -log sigma(c_i . o_j) - K mean_s log sigma(-c_i . o_s)    for each word i and each word j in its window

with the vector c of a word in the middle, and the vector o of a word beside it.

Source: Mikolov et al. 2013, "Distributed Representations of Words and Phrases and their Compositionality",
equations 4 (the loss), 5 (frequent words are left out) and section 2.2 (noise words by count^3/4); windows of
drawn size: Mikolov et al. 2013, "Efficient Estimation of Word Representations in Vector Space", section 3.2.
Shared noise words: Ji et al. 2016, "Parallelizing Word2Vec in Shared and Distributed Memory".
Departures:
- The noise words of a row are drawn once and shared by all of its pairs, so that their scores are one product
  of matrices; their mean counts K times, by which the expectation of the loss is that of K for each pair.
- How often frequent words are kept is the formula of the program word2vec, sqrt(t/f) + t/f, not the paper's.

Legend of shapes: B rows of text, T words of a row, E features, S noise words of a row, V vocabulary.
"""

import torch
from torch import Tensor
from torch.nn import functional


def keep_probabilities(counts: Tensor, threshold: float) -> Tensor:
    """How often a word is kept, min(1, sqrt(t/f) + t/f), with its share f of all words; 0 for unseen words.

    Args:
        counts: How often each word was seen, (V,), at least one of them above 0.
        threshold: t, above 0; words with a larger share are thinned out.

    Returns:
        float64 (V,), in [0, 1].
    """
    shares = counts.double() / counts.sum()
    ratio = torch.where(shares > 0, threshold / shares.clamp_min(1e-300), 0.0)
    return (ratio.sqrt() + ratio).clamp_max(1.0)


def noise_distribution(counts: Tensor, power: float = 0.75) -> Tensor:
    """p(word) proportional to count^power: the probability that a noise word is this one.

    Args:
        counts: How often each word was seen, (V,), at least one of them above 0.
        power: 1 is the words' own frequency, 0 all words alike (unseen ones are never drawn).

    Returns:
        float64 (V,), of sum 1.
    """
    weights = torch.where(counts > 0, counts.double().pow(power), 0.0)
    return weights / weights.sum()


def window_pairs(windows: Tensor, present: Tensor) -> Tensor:
    """Which words j are in the window of which words i: i != j, |i - j| <= window of i, both present.

    Args:
        windows: How far the window of each word reaches to either side, int64 (B, T), from 1.
        present: bool (B, T), where there is a word.

    Returns:
        bool (B, T, T): i, j.
    """
    places = torch.arange(windows.shape[1], device=windows.device)
    distance = (places[:, None] - places).abs()  # (T, T)
    near = (distance > 0) & (distance <= windows[..., None])
    return near & present[:, :, None] & present[:, None, :]


def skip_gram_nats(
    centres: Tensor, contexts: Tensor, noise: Tensor, pairs: Tensor, *, num_negatives: int
) -> Tensor:
    """The loss of each row: the mean over its pairs, in nats; 0 for a row without a pair.

    Args:
        centres: The vectors of the words in the middle, (B, T, E).
        contexts: The vectors of the same words beside others, (B, T, E).
        noise: The vectors of noise words beside others, (B, S, E).
        pairs: Which j are in the window of which i, bool (B, T, T).
        num_negatives: K, noise words that a pair stands against.

    Returns:
        (B,), float32 at least.
    """
    near = centres @ contexts.transpose(1, 2)  # (B, T, T)
    far = centres @ noise.transpose(1, 2)  # (B, T, S)
    precise = torch.promote_types(near.dtype, torch.float32)
    num_pairs = pairs.sum(2)  # (B, T)
    right = functional.softplus(-near.to(precise)).masked_fill(~pairs, 0).sum((1, 2))
    wrong = (functional.softplus(far.to(precise)).mean(2) * num_pairs).sum(1)
    return (right + num_negatives * wrong) / num_pairs.sum(1).clamp_min(1)
