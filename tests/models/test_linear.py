"""The stored arrays against scikit-learn's own objects, on pictures and on tables."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from sklearn import linear_model, svm
from sklearn.datasets import load_breast_cancer, load_iris
from torch import Tensor

from creuset.data.spec import DataSpec
from creuset.errors import CheckpointError, UsageError
from creuset.models.base import FittedModel
from creuset.models.linear import LinearConfig, build

Rows = tuple[NDArray[np.float32], NDArray[np.int64]]


def table(loader: Any) -> Rows:
    data = loader()
    features = (data.data - data.data.mean(0)) / data.data.std(0)
    return features.astype(np.float32), data.target.astype(np.int64)


def model_of(rows: Rows, **settings: Any) -> FittedModel:
    features, labels = rows
    counts = np.bincount(labels)
    spec = DataSpec(
        kind="table",
        shape=(features.shape[1],),
        num_levels=0,
        class_names=tuple(f"class {k}" for k in range(len(counts))),
        class_counts=tuple(int(count) for count in counts),
    )
    return build(LinearConfig(family="linear", **settings), spec)


@pytest.fixture(scope="module", params=["iris", "breast_cancer", "digits"])
def rows(request: pytest.FixtureRequest, digits: dict[str, Tensor]) -> Rows:
    """Three classes, two classes, and ten classes of pictures."""
    if request.param == "digits":
        return digits["images"][:600].flatten(1).numpy(), digits["labels"][:600].numpy()
    return table({"iris": load_iris, "breast_cancer": load_breast_cancer}[request.param])


@pytest.mark.parametrize("class_weights", ["none", "balanced"])
def test_logistic_logits_are_scikit_learn_s(rows: Rows, class_weights: Any) -> None:
    features, labels = rows
    model = model_of(rows, kind="logistic", C=0.5, class_weights=class_weights)
    record = model.fit(features[::2], labels[::2], seed=0)
    peer = linear_model.LogisticRegression(
        C=0.5, tol=1e-3, max_iter=100_000, class_weight=None if class_weights == "none" else "balanced"
    ).fit(features[::2], labels[::2])
    logits = model.logits(torch.from_numpy(features))
    np.testing.assert_allclose(logits.softmax(1).numpy(), peer.predict_proba(features), atol=1e-5)
    decisions = peer.decision_function(features)
    ours = logits.numpy() if decisions.ndim == 2 else (logits[:, 1] - logits[:, 0]).numpy()
    np.testing.assert_allclose(ours, decisions, rtol=1e-4, atol=1e-4)
    assert record["converged"] == 1
    assert record["training_accuracy"] == pytest.approx(peer.score(features[::2], labels[::2]))
    assert model.probabilistic


@pytest.mark.parametrize("kernel", ["linear", "rbf", None])
@pytest.mark.parametrize("C", [0.02, 5.0])
def test_svm_scores_and_predictions_are_scikit_learn_s(rows: Rows, kernel: Any, C: float) -> None:
    features, labels = rows
    model = model_of(rows, kind="svm", kernel=kernel, C=C)
    record = model.fit(features[::2], labels[::2], seed=0)
    num_classes = len(np.unique(labels))
    peer = svm.SVC(kernel=kernel or "rbf", C=C, break_ties=num_classes > 2).fit(features[::2], labels[::2])
    logits = model.logits(torch.from_numpy(features))
    assert np.array_equal(logits.argmax(1).numpy(), peer.predict(features))
    decisions = peer.decision_function(features)
    ours = logits.numpy() if num_classes > 2 else (logits[:, 1] - logits[:, 0]).numpy()
    np.testing.assert_allclose(ours, decisions, rtol=1e-4, atol=1e-4)
    assert record["num_support_vectors"] == len(peer.support_vectors_)
    assert record["converged"] == 1
    assert not model.probabilistic


def test_gamma_is_scikit_learn_s(digits: dict[str, Tensor]) -> None:
    rows = digits["images"][:200].flatten(1).numpy(), digits["labels"][:200].numpy()
    model = model_of(rows, kind="svm", gamma=0.07)
    model.fit(*rows, seed=0)
    peer = svm.SVC(gamma=0.07, break_ties=True).fit(*rows)
    np.testing.assert_allclose(
        model.logits(digits["images"][200:400]).numpy(),
        peer.decision_function(digits["images"][200:400].flatten(1).numpy()),
        rtol=1e-4,
        atol=1e-4,
    )


@pytest.mark.parametrize("kind", ["logistic", "svm"])
def test_balanced_weights_change_the_fit_of_uneven_classes(kind: Any) -> None:
    generator = np.random.default_rng(0)
    features = generator.normal(size=(220, 2)).astype(np.float32)
    labels = np.repeat([0, 1], [200, 20]).astype(np.int64)
    features[200:] += 1
    recalls = []
    for class_weights in ("none", "balanced"):
        model = model_of((features, labels), kind=kind, class_weights=class_weights)
        model.fit(features, labels, seed=0)
        recalls.append(float(model.logits(torch.from_numpy(features[200:])).argmax(1).float().mean()))
    assert recalls[1] > recalls[0] + 0.2


@pytest.mark.parametrize("kind", ["logistic", "svm"])
def test_a_fit_cut_short_says_so_as_a_value_and_what_to_raise(digits: dict[str, Tensor], kind: Any) -> None:
    rows = digits["images"][:200].flatten(1).numpy(), digits["labels"][:200].numpy()
    model = model_of(rows, kind=kind, max_iter=2)
    record = model.fit(*rows, seed=0)
    assert record["converged"] == 0
    assert record["iterations"] == 2
    assert model.remarks() == [
        "the solver stopped after 2 iterations without reaching model.tolerance 0.001: "
        "raise model.max_iter above 2"
    ]
    whole = model_of(rows, kind=kind)
    whole.fit(*rows, seed=0)
    assert whole.remarks() == []


@pytest.mark.parametrize("kind", ["logistic", "svm"])
def test_pictures_and_their_rows_get_the_same_scores(digits: dict[str, Tensor], kind: Any) -> None:
    rows = digits["images"][:200].flatten(1).numpy(), digits["labels"][:200].numpy()
    model = model_of(rows, kind=kind)
    model.fit(*rows, seed=0)
    images = digits["images"][200:210]
    assert torch.equal(model.logits(images), model.logits(images.flatten(1)))


def test_kernel_is_computed_in_parts(digits: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    rows = digits["images"][:200].flatten(1).numpy(), digits["labels"][:200].numpy()
    model = model_of(rows, kind="svm")
    model.fit(*rows, seed=0)
    whole = model.logits(digits["images"])
    monkeypatch.setattr("creuset.layers.one_against_one._CHUNK_NUMBERS", 1000)
    torch.testing.assert_close(model.logits(digits["images"]), whole)


def test_wrong_uses_are_refused(digits: dict[str, Tensor]) -> None:
    rows = digits["images"][:200].flatten(1).numpy(), digits["labels"][:200].numpy()
    model = model_of(rows)
    with pytest.raises(UsageError, match="LogisticRegression: this model was not fitted yet"):
        model.logits(digits["images"])
    with pytest.raises(UsageError, match=r"got: \(200, 63\)\n  expected: \(samples, 64\)"):
        model.fit(rows[0][:, 1:], rows[1], seed=0)
    model.fit(*rows, seed=0)
    with pytest.raises(UsageError, match=r"got: \(2, 1, 9, 8\)\n  expected: \(batch, 64\)"):
        model.logits(torch.zeros(2, 1, 9, 8))


def test_arrays_of_another_model_are_refused(digits: dict[str, Tensor]) -> None:
    rows = digits["images"][:200].flatten(1).numpy(), digits["labels"][:200].numpy()
    logistic, machine = model_of(rows), model_of(rows, kind="svm")
    machine.fit(*rows, seed=0)
    with pytest.raises(CheckpointError, match=r"arrays of another model\n  got: dual_coefficients \(9, "):
        logistic.load_arrays(machine.arrays())
    arrays = machine.arrays()
    arrays["support_vectors"] = arrays["support_vectors"][:, :9]
    with pytest.raises(CheckpointError, match=r"expected: .*support_vectors \(\d+, 64\)"):
        model_of(rows, kind="svm").load_arrays(arrays)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "logistic", "kernel": "rbf"}, "kernel\n.*has no effect without kind: svm"),
        ({"kind": "svm", "kernel": "linear", "gamma": 0.1}, "gamma\n.*has no effect without .*kernel: rbf"),
        ({"gamma": 0.1}, "gamma\n.*has no effect"),
        ({"C": 0.0}, "C\n.*greater than 0"),
        ({"max_iter": 0}, "max_iter\n.*greater than or equal to 1"),
        ({"size": "small"}, "no sizes"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        LinearConfig(family="linear", **settings)
