"""Metrics: each takes arrays and gives a `Score` with its unit, interval, n and signature.

The public names are imported when they are first used. None of these files imports torch; tensors are read
as arrays.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from creuset.metrics.agreement import cohen_kappa, krippendorff_alpha, raw_agreement
    from creuset.metrics.calibration import (
        CalibrationBins,
        brier_score,
        calibration_bins,
        calibration_error,
        calibration_floor,
        label_nll,
    )
    from creuset.metrics.classification import (
        accuracy,
        classification_scores,
        confusion_matrix,
        f1_macro,
        f1_micro,
        f1_per_class,
    )
    from creuset.metrics.comparison import Comparison, compare_paired, compare_unpaired, correct_together
    from creuset.metrics.feature_scores import FeatureScores, score_features
    from creuset.metrics.feature_sets import FeatureSets
    from creuset.metrics.features import Extractor
    from creuset.metrics.floors import PixelCounts, PixelMixture, likelihood_floors
    from creuset.metrics.frechet import (
        frechet_curve,
        frechet_distance,
        frechet_floor,
        frechet_intercept,
        frechet_left_out,
    )
    from creuset.metrics.inception_score import score_classes
    from creuset.metrics.intervals import Bootstrap, MeanEstimate, bootstrap, mean_estimate, wilson_interval
    from creuset.metrics.jackknife import block_numbers
    from creuset.metrics.kernel import KernelSums, kernel_distance
    from creuset.metrics.likelihood import (
        ImportanceBound,
        LikelihoodSetting,
        bits_per_dim,
        elbo,
        importance_bound,
        nll,
        to_bits_per_dim,
    )
    from creuset.metrics.memorisation import TrainingNeighbours, memorisation_score, near_copies
    from creuset.metrics.modes import (
        ModeCounts,
        expected_kl,
        expected_modes,
        grid_means,
        kl_from_uniform,
        mode_scores,
        modes_by_error,
        ring_means,
    )
    from creuset.metrics.moments import BlockMoments, FeatureMoments
    from creuset.metrics.permutation import holm
    from creuset.metrics.precision_recall import BallCounts, precision_recall_scores
    from creuset.metrics.predictions import Predictions
    from creuset.metrics.preference import Outcomes, Ratings, elo_ratings, win_rate
    from creuset.metrics.reconstruction import mean_squared_error, psnr, squared_errors
    from creuset.metrics.replicates import Replicates, compare_replicates, compare_shares
    from creuset.metrics.retrieval import (
        Rankings,
        mean_average_precision,
        mrr,
        ndcg,
        precision_at_k,
        recall_at_k,
        retrieval_scores,
    )
    from creuset.metrics.rke import median_distance, rke_mode_count
    from creuset.metrics.roc import auroc, auroc_shares
    from creuset.metrics.rows import MetricRows, classification_rows, paired_rows
    from creuset.metrics.score import Score
    from creuset.metrics.signature import Context, Signature, differences, require_comparable
    from creuset.metrics.text.answers import (
        answer_words,
        exact_match,
        exact_match_rows,
        token_f1,
        token_f1_rows,
    )
    from creuset.metrics.text.bleu import bleu, bleu_rows
    from creuset.metrics.text.choice import Question, choice_accuracy, choice_rows
    from creuset.metrics.text.chrf import chrf, chrf_rows
    from creuset.metrics.text.diversity import distinct_n, self_bleu
    from creuset.metrics.text.embedding_score import (
        Baseline,
        EncodedText,
        Encoder,
        IdfWeights,
        embedding_rows,
        embedding_score,
        idf_weights,
    )
    from creuset.metrics.text.json_validity import JsonValidator, json_validity, json_validity_rows
    from creuset.metrics.text.meteor import Synonyms, meteor, meteor_rows
    from creuset.metrics.text.perplexity import (
        DocumentLikelihoods,
        Window,
        WindowSetting,
        bits_per_byte,
        bits_per_byte_rows,
        perplexity,
        perplexity_rows,
        sliding_windows,
    )
    from creuset.metrics.text.rouge import rouge, rouge_rows
    from creuset.metrics.text.rows import TextRows
    from creuset.metrics.text.ter import ter, ter_rows
    from creuset.metrics.text.tokens import Stemmer, unicode_tokens

__all__ = [
    "BallCounts",
    "Baseline",
    "BlockMoments",
    "Bootstrap",
    "CalibrationBins",
    "Comparison",
    "Context",
    "DocumentLikelihoods",
    "EncodedText",
    "Encoder",
    "Extractor",
    "FeatureMoments",
    "FeatureScores",
    "FeatureSets",
    "IdfWeights",
    "ImportanceBound",
    "JsonValidator",
    "KernelSums",
    "LikelihoodSetting",
    "MeanEstimate",
    "MetricRows",
    "ModeCounts",
    "Outcomes",
    "PixelCounts",
    "PixelMixture",
    "Predictions",
    "Question",
    "Rankings",
    "Ratings",
    "Replicates",
    "Score",
    "Signature",
    "Stemmer",
    "Synonyms",
    "TextRows",
    "TrainingNeighbours",
    "Window",
    "WindowSetting",
    "accuracy",
    "answer_words",
    "auroc",
    "auroc_shares",
    "bits_per_byte",
    "bits_per_byte_rows",
    "bits_per_dim",
    "bleu",
    "bleu_rows",
    "block_numbers",
    "bootstrap",
    "brier_score",
    "calibration_bins",
    "calibration_error",
    "calibration_floor",
    "choice_accuracy",
    "choice_rows",
    "chrf",
    "chrf_rows",
    "classification_rows",
    "classification_scores",
    "cohen_kappa",
    "compare_paired",
    "compare_replicates",
    "compare_shares",
    "compare_unpaired",
    "confusion_matrix",
    "correct_together",
    "differences",
    "distinct_n",
    "elbo",
    "elo_ratings",
    "embedding_rows",
    "embedding_score",
    "exact_match",
    "exact_match_rows",
    "expected_kl",
    "expected_modes",
    "f1_macro",
    "f1_micro",
    "f1_per_class",
    "frechet_curve",
    "frechet_distance",
    "frechet_floor",
    "frechet_intercept",
    "frechet_left_out",
    "grid_means",
    "holm",
    "idf_weights",
    "importance_bound",
    "json_validity",
    "json_validity_rows",
    "kernel_distance",
    "kl_from_uniform",
    "krippendorff_alpha",
    "label_nll",
    "likelihood_floors",
    "mean_average_precision",
    "mean_estimate",
    "mean_squared_error",
    "median_distance",
    "memorisation_score",
    "meteor",
    "meteor_rows",
    "mode_scores",
    "modes_by_error",
    "mrr",
    "ndcg",
    "near_copies",
    "nll",
    "paired_rows",
    "perplexity",
    "perplexity_rows",
    "precision_at_k",
    "precision_recall_scores",
    "psnr",
    "raw_agreement",
    "recall_at_k",
    "require_comparable",
    "retrieval_scores",
    "ring_means",
    "rke_mode_count",
    "rouge",
    "rouge_rows",
    "score_classes",
    "score_features",
    "self_bleu",
    "sliding_windows",
    "squared_errors",
    "ter",
    "ter_rows",
    "to_bits_per_dim",
    "token_f1",
    "token_f1_rows",
    "unicode_tokens",
    "wilson_interval",
    "win_rate",
]

_NAMES = {
    "agreement": ("cohen_kappa", "krippendorff_alpha", "raw_agreement"),
    "comparison": ("Comparison", "compare_paired", "compare_unpaired", "correct_together"),
    "replicates": ("Replicates", "compare_replicates", "compare_shares"),
    "permutation": ("holm",),
    "preference": ("Outcomes", "Ratings", "elo_ratings", "win_rate"),
    "retrieval": (
        "Rankings",
        "mean_average_precision",
        "mrr",
        "ndcg",
        "precision_at_k",
        "recall_at_k",
        "retrieval_scores",
    ),
    "rows": ("MetricRows", "classification_rows", "paired_rows"),
    "calibration": (
        "CalibrationBins",
        "brier_score",
        "calibration_bins",
        "calibration_error",
        "calibration_floor",
        "label_nll",
    ),
    "classification": (
        "accuracy",
        "classification_scores",
        "confusion_matrix",
        "f1_macro",
        "f1_micro",
        "f1_per_class",
    ),
    "feature_scores": ("FeatureScores", "score_features"),
    "feature_sets": ("FeatureSets",),
    "features": ("Extractor",),
    "floors": ("PixelCounts", "PixelMixture", "likelihood_floors"),
    "frechet": (
        "frechet_curve",
        "frechet_distance",
        "frechet_floor",
        "frechet_intercept",
        "frechet_left_out",
    ),
    "jackknife": ("block_numbers",),
    "inception_score": ("score_classes",),
    "intervals": ("Bootstrap", "MeanEstimate", "bootstrap", "mean_estimate", "wilson_interval"),
    "kernel": ("KernelSums", "kernel_distance"),
    "likelihood": (
        "ImportanceBound",
        "LikelihoodSetting",
        "bits_per_dim",
        "elbo",
        "importance_bound",
        "nll",
        "to_bits_per_dim",
    ),
    "memorisation": ("TrainingNeighbours", "memorisation_score", "near_copies"),
    "modes": (
        "ModeCounts",
        "expected_kl",
        "expected_modes",
        "grid_means",
        "kl_from_uniform",
        "mode_scores",
        "modes_by_error",
        "ring_means",
    ),
    "moments": ("BlockMoments", "FeatureMoments"),
    "precision_recall": ("BallCounts", "precision_recall_scores"),
    "predictions": ("Predictions",),
    "reconstruction": ("mean_squared_error", "psnr", "squared_errors"),
    "rke": ("median_distance", "rke_mode_count"),
    "roc": ("auroc", "auroc_shares"),
    "score": ("Score",),
    "signature": ("Context", "Signature", "differences", "require_comparable"),
    "text.answers": ("answer_words", "exact_match", "exact_match_rows", "token_f1", "token_f1_rows"),
    "text.bleu": ("bleu", "bleu_rows"),
    "text.choice": ("Question", "choice_accuracy", "choice_rows"),
    "text.chrf": ("chrf", "chrf_rows"),
    "text.diversity": ("distinct_n", "self_bleu"),
    "text.embedding_score": (
        "Baseline",
        "EncodedText",
        "Encoder",
        "IdfWeights",
        "embedding_rows",
        "embedding_score",
        "idf_weights",
    ),
    "text.json_validity": ("JsonValidator", "json_validity", "json_validity_rows"),
    "text.meteor": ("Synonyms", "meteor", "meteor_rows"),
    "text.perplexity": (
        "DocumentLikelihoods",
        "Window",
        "WindowSetting",
        "bits_per_byte",
        "bits_per_byte_rows",
        "perplexity",
        "perplexity_rows",
        "sliding_windows",
    ),
    "text.rouge": ("rouge", "rouge_rows"),
    "text.rows": ("TextRows",),
    "text.ter": ("ter", "ter_rows"),
    "text.tokens": ("Stemmer", "unicode_tokens"),
}
"""file -> the public names it defines"""

_HOMES = {name: file for file, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'creuset.metrics' has no attribute {name!r}")
    return getattr(importlib.import_module(f"creuset.metrics.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
