"""Classify digits with logistic regression and a convolutional network; compare accuracies with intervals.

python examples/compare_classifiers.py
"""

from pathlib import Path

from sklearn.datasets import load_digits

import creuset

LOGISTIC = """
model:
  family: linear
data:
  source: digits
"""
NETWORK = """
model:
  family: cnn
  size: tiny
data:
  source: digits
  batch_size: 64
training:
  learning_rate: 3e-3
"""


def main(num_steps: int = 400, folder: Path = Path("compared")) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "logistic.yaml").write_text(LOGISTIC)
    (folder / "network.yaml").write_text(NETWORK)
    runs = {
        "logistic regression": creuset.train(folder / "logistic.yaml", name=folder / "logistic"),
        "convolutional network": creuset.train(
            folder / "network.yaml", name=folder / "network", settings={"training.num_steps": num_steps}
        ),
    }
    for name, run in runs.items():
        accuracy = next(score for score in run.scores if score.metric == "accuracy")
        low, high = accuracy.interval
        print(f"{name}: {accuracy.value:.3f}, between {low:.3f} and {high:.3f} on {accuracy.n} digits")

    # A stored run is opened by its folder. Levels 0..16 become bytes 0..255.
    model = creuset.load(folder / "network")
    pictures = (load_digits().images[:5] * (255 / 16)).round().astype("uint8")  # (5, 8, 8)
    print("the first five digits are read as", ", ".join(model.predict(pictures)))


if __name__ == "__main__":
    main()
