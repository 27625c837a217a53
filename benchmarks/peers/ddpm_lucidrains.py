"""Trains the benchmark's diffusion with denoising-diffusion-pytorch; prints a JSON line
(ddpm_against_lucidrains.py).

    ddpm_lucidrains.py DATA STEPS THREADS

Its `Unet` and `GaussianDiffusion` in a loop as in its documentation: pictures in memory, loss, backward,
Adam. Its own trainer, which reads picture files, keeps an average of the weights and draws samples, would be
slower.
"""

import importlib.metadata
import json
import sys

import numpy as np
import torch
from measuring import Stopwatch, noise_error, num_parameters, peak_memory_bytes
from torch import Tensor

# torchvision, which the peer imports for its trainer, asks for operators that it does not bring to a torch
# without CUDA; their names are enough, since nothing here calls them
OPERATORS = torch.library.Library("torchvision", "DEF")
for name in ("nms", "qnms"):
    OPERATORS.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

from denoising_diffusion_pytorch import GaussianDiffusion, Unet  # noqa: E402

BATCH_SIZE = 64


def main(data: str, num_steps: int, threads: int) -> None:
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    with np.load(data) as arrays:
        train, test = (
            torch.from_numpy(arrays[f"{split}_images"]).float()[:, None] for split in ("train", "test")
        )
    train = train / 255  # it takes pictures in [0, 1], and brings them to [-1, 1] itself
    network = Unet(dim=32, dim_mults=(1, 2, 4), channels=1, flash_attn=True)
    model = GaussianDiffusion(
        network, image_size=28, timesteps=1000, beta_schedule="linear", objective="pred_noise"
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-4)

    def take_step(step: int) -> float:
        start = step * BATCH_SIZE % (len(train) - len(train) % BATCH_SIZE)
        if start == 0:
            order[:] = torch.randperm(len(train))
        loss = model(train[order[start : start + BATCH_SIZE]])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    order = torch.arange(len(train))
    loop = Stopwatch()
    timed = loop.timed(take_step)
    for step in range(num_steps):
        timed(step)
    peak = peak_memory_bytes()
    network.eval()

    def predict(x: Tensor, steps: Tensor) -> Tensor:
        said: Tensor = network(x, steps)
        return said

    row = {
        "version": importlib.metadata.version("denoising-diffusion-pytorch"),
        "torch": torch.__version__,
        "num_pictures": len(train),
        "num_steps": num_steps,
        "num_parameters": num_parameters(network),
        "loop_seconds": loop.seconds,
        "steps_per_second": num_steps / loop.seconds,
        "peak_memory_bytes": peak,
        "noise_error": noise_error(test / 127.5 - 1, predict),
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:4]))
