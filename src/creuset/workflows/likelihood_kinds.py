"""What kind of number a likelihood is, told by its signature: exact, a bound, or an estimate; and of what.

Numbers of unlike kind are looked at side by side and never ranked: a bound that is worse than an exact
likelihood may be of a model that is better.
"""

from creuset.metrics.score import Score
from creuset.metrics.signature import Signature, differences

OF_LIKELIHOODS = ("nll", "elbo", "bits_per_dim")
"""Metrics whose signatures say what kind of likelihood they are of."""

_OF_MEASUREMENT = frozenset(("metric", "version", "data", "split", "n"))
"""Fields that differ where something else was measured, not only another kind of it."""


def kind_of_likelihood(score: Score) -> str:
    """How a likelihood was found: `exact`, `bound by 200 importance samples`, `variational bound` ..."""
    fields = Signature.parse(score.signature).fields()
    samples = fields.get("importance_samples", "none")
    if "solver" in fields:
        draws = "" if samples == "none" else f", mean of {samples} draws" if samples != "1" else ", one draw"
        return f"integrated by {fields['solver']} in {fields.get('steps', '?')} steps{draws}"
    if samples == "none":
        return "exact"
    if fields.get("draws") == "averaged":
        return "estimate by one draw" if samples == "1" else f"estimate, mean of {samples} draws"
    return "variational bound" if samples == "1" else f"bound by {samples} importance samples"


def what_is_likely(score: Score) -> str:
    """What a likelihood is of: `binary pixels`, `17 levels`, `a density`."""
    fields = Signature.parse(score.signature).fields()
    if fields.get("binarisation", "none") != "none":
        return "binary pixels"
    likelihood = fields.get("likelihood", "density")
    return "a density" if likelihood == "density" else f"{likelihood.removeprefix('levels')} levels"


def of_unlike_kind(a: Score, b: Score) -> bool:
    """Whether two likelihoods of the same samples are numbers of unlike kind, and differ in nothing else.

    Two seeds are no kinds: then the same was measured by other draws.
    """
    if a.metric not in OF_LIKELIHOODS or a.metric != b.metric:
        return False
    differing = set(differences(a.signature, b.signature))
    seeds = {Signature.parse(score.signature).seed for score in (a, b)}
    return (
        bool(differing - {"seed"}) and not differing & _OF_MEASUREMENT and (len(seeds) < 2 or None in seeds)
    )
