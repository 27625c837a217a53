"""Encode digits into two numbers each, unsupervised: a map of them, and the way from one digit to another.

python examples/map_digits.py
"""

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

import creuset


def main(num_steps: int = 2000, folder: Path = Path("mapped")) -> None:
    settings = {"model.latent_dim": 2, "training.num_steps": num_steps}
    run = creuset.train("vae-digits", name=folder / "run", settings=settings, seed=0)
    model = run.model()

    digits = load_digits()
    pictures = (digits.images * (255 / 16)).round().astype("uint8")  # (1797, 8, 8)
    codes = model.encode(pictures)  # float32 (1797, 2)
    np.savez(folder / "codes.npz", codes=codes, labels=digits.target)
    for digit in range(10):
        x, y = codes[digits.target == digit].mean(0)
        print(f"digit {digit} lies around ({x:+.2f}, {y:+.2f})")

    way = model.interpolate(pictures[0][..., None], pictures[1][..., None], num_steps=10)  # from a 0 to a 1
    strip = way[..., 0].transpose(1, 0, 2).reshape(8, 80)
    Image.fromarray(strip).resize((640, 64), Image.Resampling.NEAREST).save(folder / "way.png")
    print(folder / "way.png")


if __name__ == "__main__":
    main()
