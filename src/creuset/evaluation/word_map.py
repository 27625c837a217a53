"""Words in a plane: t-SNE of the vectors of the most frequent words.

A plane cannot keep the neighbours of a hundred dimensions. So the map says how many it keeps: of the ten
words that are nearest to a word among those shown, the share that is among its ten nearest on the map.

Source: van der Maaten & Hinton 2008, "Visualizing Data using t-SNE", as scikit-learn computes it without
approximation, from the two largest principal components on.

Legend of shapes: N words, E features.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from creuset.generation.neighbours import WordVectors

_WORDS = 160
"""More labels than these find no room in a page."""
_FEWEST = 5
_NEAREST = 10
_PERPLEXITY = 15.0
"""About how many neighbours of a word count; of 5 to 50 (section 6 of the source), for so few words."""


def word_map(vectors: WordVectors, *, seed: int) -> dict[str, Any] | None:
    """The words made of letters that are most frequent, with a place for each.

    Args:
        vectors: Of the words.
        seed: Decides the map.

    Returns:
        "words", "points" (N, 2) and "kept", the share of neighbours in [0, 1]; None for fewer than 5 words.
    """
    rows = [row for row, word in enumerate(vectors.words) if word.isalpha()][:_WORDS]
    if len(rows) < _FEWEST:
        return None
    points = _plane(vectors.units[rows], seed)
    return {
        "words": [vectors.words[row] for row in rows],
        "points": [[round(float(x), 3), round(float(y), 3)] for x, y in points],
        "kept": kept_neighbours(vectors.units[rows], points, min(_NEAREST, len(rows) - 2)),
    }


def kept_neighbours(vectors: NDArray[Any], points: NDArray[Any], num: int) -> float:
    """The share of the `num` nearest vectors of each, by distance, that are among its nearest points.

    Args:
        vectors: (N, E).
        points: (N, 2).
        num: From 1, below N.
    """
    near, shown = _nearest(vectors, num), _nearest(points, num)
    both = [len(set(a) & set(b)) for a, b in zip(near.tolist(), shown.tolist(), strict=True)]
    return sum(both) / (num * len(both))


def _nearest(rows: NDArray[Any], num: int) -> NDArray[np.int64]:
    wide = rows.astype(np.float64)
    distances = np.square(wide[:, None] - wide).sum(-1)
    np.fill_diagonal(distances, np.inf)
    return np.argsort(distances, axis=1, kind="stable")[:, :num]


def _plane(units: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    from sklearn.manifold import TSNE

    method = TSNE(
        n_components=2,
        perplexity=min(_PERPLEXITY, (len(units) - 1) / 3),
        method="exact",
        init="pca",
        random_state=seed,
    )
    points: NDArray[np.float32] = method.fit_transform(units)
    return points
