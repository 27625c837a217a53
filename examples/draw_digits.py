"""Train a variational autoencoder on scikit-learn's digits, look at its scores, draw new digits into a file.

python examples/draw_digits.py
"""

from pathlib import Path

from PIL import Image

import creuset


def main(num_steps: int = 2000, folder: Path = Path("drawn")) -> None:
    run = creuset.train("vae-digits", name=folder / "run", settings={"training.num_steps": num_steps}, seed=0)
    for score in run.scores:
        print(score)  # value, unit, 95% interval, n, and the signature: what was measured, on what, how

    digits = run.model().generate(num_samples=64, seed=0)  # uint8 (64, 8, 8, 1)
    rows = digits.reshape(8, 8, 8, 8).transpose(0, 2, 1, 3).reshape(64, 64)  # eight rows of eight digits
    Image.fromarray(rows).resize((512, 512), Image.Resampling.NEAREST).save(folder / "digits.png")
    print(folder / "digits.png")


if __name__ == "__main__":
    main()
