"""Train an encoder on a few French and English sentences, let it fill masks, and save it for transformers.

python examples/fill_masks.py
"""

import random
from itertools import pairwise
from pathlib import Path

import creuset
from creuset.pretrained.folder import Pretrained, save_folder

DAYS = {
    "After {} comes {}.": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday Monday",
    "Après {} vient {}.": "lundi mardi mercredi jeudi vendredi samedi dimanche lundi",
}
RECIPE = """
model:
  family: encoder
  size: tiny
data:
  source: {source}
  tokenizer: wordpiece
  vocabulary_size: 110
  context: 16
  batch_size: 64
training:
  learning_rate: 3e-3
"""


def main(num_steps: int = 700, folder: Path = Path("masks")) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    sentences = [
        form.format(one, other) for form, days in DAYS.items() for one, other in pairwise(days.split())
    ]
    draws = random.Random(0)
    (folder / "days.txt").write_text("\n".join(draws.choices(sentences, k=2000)))
    (folder / "days.yaml").write_text(RECIPE.format(source=folder / "days.txt"))
    run = creuset.train(
        folder / "days.yaml", name=folder / "encoder", settings={"training.num_steps": num_steps}
    )
    print(run.scores[0])

    model = creuset.load(folder / "encoder")
    for prompt in ("After Monday comes [MASK].", "Après [MASK] vient jeudi."):
        (filling,) = model.fill(prompt, 3)
        print(prompt, ", ".join(map(str, filling.guesses)))

    # The form is BERT's, so that transformers.BertForMaskedLM reads the folder.
    transformer = model.model.transformer
    saved = Pretrained(
        config=transformer.config,
        state=transformer.state_dict(),
        model_type="bert",
        tokenizer=model.tokenizer,
    )
    save_folder(folder / "bert", saved)


if __name__ == "__main__":
    main()
