"""Extractors of features by name: a network of the store, weights in a file, or a classifier of one's own."""

import hashlib
from pathlib import Path

import torch
from torch import Tensor

from creuset.assets import resolve
from creuset.data.pixels import to_floats
from creuset.errors import NotFoundError, UsageError, nearest
from creuset.metrics.features import Extractor
from creuset.models.base import placed
from creuset.models.classifier import Classifier
from creuset.pretrained.features import FeatureNetwork, efficientnet_lite0, inception_v3
from creuset.runs.folder import RunFolder
from creuset.workflows.load import Loaded, find_run, load

EFFICIENTNET = "efficientnet-lite0"
"""The extractor that is there offline, by its name in the store."""

KINDS_OF_EXTRACTORS = (
    f"{EFFICIENTNET}, the .pth file with the weights of Inception v3, or a run of a classifier of pictures"
)


def open_extractor(name: str) -> FeatureNetwork:
    """The network that a name stands for.

    Args:
        name: "efficientnet-lite0" of the store; the path of pt_inception-2015-12-05-6726825d.pth; or the ID
            or path of a run of a classifier of pictures, whose features are what its last layer reads.

    Raises:
        NotFoundError: There is no such asset, file or run.
        BlockedError: A file of weights with another hash than the one that FID is defined by; or the asset is
            missing, and creuset is offline.
        UsageError: A run of a family without features, or of other data than pictures.
    """
    if name == EFFICIENTNET:
        return efficientnet_lite0(resolve(name).path)
    path = Path(name).expanduser()
    if path.suffix == ".pth" and not path.is_file():
        raise NotFoundError(
            "the weights of Inception v3 are not there",
            where=path,
            expected=KINDS_OF_EXTRACTORS,
            next_step=f"correct the path, or take {EFFICIENTNET}, whose distances are called FD and KD",
        )
    if path.is_file():
        return inception_v3(path)
    return classifier_features(load(_run(name)))


def classifier_features(loaded: Loaded) -> FeatureNetwork:
    """The features of a classifier of pictures: what its last layer reads, of pictures of its own form.

    Raises:
        UsageError: The model has no such features, or takes no pictures.
    """
    model, spec = loaded.model, loaded.spec
    if not isinstance(model, Classifier) or spec.kind != "images":
        raise UsageError(
            "this run gives no features of pictures",
            where=loaded.run.path,
            got=f"the family {loaded.family.name} on {spec.kind}",
            expected="a network that classifies pictures, such as model.family: cnn",
            next_step=f"take such a run, or the extractor {EFFICIENTNET}",
        )
    channels, height, width = spec.shape

    def features(pictures: Tensor) -> Tensor:
        inputs = placed(to_floats(pictures.to(torch.uint8), 256), model, loaded.device)
        return model.features(inputs).float().cpu()

    def logits(found: Tensor) -> Tensor:
        with torch.no_grad():
            scores: Tensor = model.output(placed(found, model, loaded.device))
        return scores.float().cpu()

    return FeatureNetwork(
        extractor=Extractor(name=loaded.family.name, sha256=_weights_hash(loaded)),
        num_features=model.num_features,
        features=features,
        logits=logits,
        shape=(channels, height, width),
        spec=spec,
    )


def _run(name: str) -> RunFolder:
    try:
        return find_run(name)
    except NotFoundError as error:
        near = "" if nearest(name, [EFFICIENTNET]) is None else f'; did you mean "{EFFICIENTNET}"?'
        raise NotFoundError(
            f'no extractor "{name}"{near}',
            got=f"{error.where}: {error.message}",
            expected=KINDS_OF_EXTRACTORS,
            next_step=error.next_step,
        ) from error


def _weights_hash(loaded: Loaded) -> str:
    """The hash of the checkpoint's weights; where running means are used in their place, of those tensors."""
    if loaded.recipe.training.ema_decay == 0:
        return loaded.checkpoint_hash
    assert isinstance(loaded.model, Classifier)
    digest = hashlib.sha256()
    for name, tensor in loaded.model.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
