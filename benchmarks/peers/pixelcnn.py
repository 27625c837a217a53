"""Draws pictures with a PixelCNN, one way or the other; prints a JSON line (pixelcnn_sampling.py).

pixelcnn.py naive|creuset NUM_PICTURES SIDE THREADS
"""

import hashlib
import json
import sys
import time

import torch
from measuring import num_parameters, peak_memory_bytes
from torch import Tensor

import creuset
from creuset.data.spec import DataSpec
from creuset.device import BatchGenerator
from creuset.models import family
from creuset.models.pixelcnn import PixelCNN
from creuset.training.session import build_model
from creuset.workflows.plan import read

RECIPE = "pixelcnn-mnist"


def main(way: str, num_pictures: int, side: int, threads: int) -> None:
    torch.set_num_threads(threads)
    model = network(side)
    draw = drawn_naively if way == "naive" else drawn_by_creuset
    draw(model, draws(1))
    begin = time.perf_counter()
    pictures = draw(model, draws(num_pictures))
    seconds = time.perf_counter() - begin
    row = {
        "version": creuset.__version__,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "num_parameters": num_parameters(model),
        "num_pictures": num_pictures,
        "side": side,
        "drawing_seconds": seconds,
        "peak_memory_bytes": peak_memory_bytes(),
        "pictures_sha256": hashlib.sha256((pictures > 0).numpy().tobytes()).hexdigest(),
    }
    print(json.dumps(row))


def network(side: int) -> PixelCNN:
    """The recipe's model with its first weights."""
    recipe = read(RECIPE)
    spec = DataSpec(kind="images", shape=(1, side, side), num_levels=256)
    model = build_model(family("pixelcnn"), recipe.model, spec, seed=0)
    assert isinstance(model, PixelCNN)
    return model.eval()


def draws(num_pictures: int) -> BatchGenerator:
    return BatchGenerator(0, "benchmark", size=num_pictures)


def drawn_by_creuset(model: PixelCNN, generator: BatchGenerator) -> Tensor:
    return model.sample(generator.size, generator)


@torch.no_grad()
def drawn_naively(model: PixelCNN, generator: BatchGenerator) -> Tensor:
    """A pass over all of each picture for each of its pixels."""
    channels, height, width = model.image_shape
    uniform = generator.uniform(height, width, channels)
    pixels = torch.zeros(generator.size, channels, height, width)
    for row in range(height):
        for column in range(width):
            on = torch.sigmoid(model.stacks(pixels)[:, 0, row, column])
            pixels[:, 0, row, column] = 2 * (uniform[:, row, column, 0] < on).float() - 1
    return pixels


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]))
