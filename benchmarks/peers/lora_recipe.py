"""What `creuset finetune` is asked for in finetune_against_peft.py: the peer's settings."""

from typing import Any

from creuset.recipe.resolve import Recipe
from creuset.workflows.finetune import Tuning, tuning_recipe


def recipe(work: dict[str, Any], *, num_steps: int, **settings: object) -> Recipe:
    """What `creuset finetune` is asked for: the peer's settings, and nothing but the steps on the way.

    Args:
        work: Base, data and settings that both sides share.
        num_steps: Of the training.
        **settings: More of the recipe's.
    """
    shared = {
        "adapter.rank": work["rank"],
        "adapter.alpha": work["alpha"],
        "data.batch_size": work["batch_size"],
        "data.test_share": 0,
        "training.validate_every": num_steps,
        "training.num_steps": num_steps,
        "training.learning_rate": work["learning_rate"],
        "training.schedule": "linear",
        "training.final_learning_rate": 0,
        "training.warmup_steps": 0,
        "training.weight_decay": 0,
        "training.clip_norm": 1,
        "training.log_every": num_steps,
        "training.checkpoint_every": num_steps,
        "training.sample_every": num_steps,
        "training.seed": work["seed"],
    }
    asked = Tuning(base=work["base"], data=work["data"], method="lora")
    return tuning_recipe(asked, {**shared, **settings})
