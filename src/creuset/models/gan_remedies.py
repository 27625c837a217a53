"""What a GAN's recipe can set against each collapse, the first thing to try first.

Which remedy is chosen follows from the cause and the recipe: a generator that learns faster than its critic
is slowed down before anything else is changed, a critic without a penalty gets one, and so on. What is set
already is not proposed again, so that a second alarm proposes the next thing.

Sources: two rates: Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule", and Zhang et al. 2019
(SAGAN: 4e-4 and 1e-4); R1 and R2: Mescheder et al. 2018; relativistic pairing with both: Huang et al. 2024
(R3GAN); packing: Lin et al. 2018 (PacGAN); wgan_gp: Gulrajani et al. 2017; non-saturating loss: Goodfellow
et al. 2014; critic steps: Arjovsky et al. 2017 (WGAN); instance noise: Sonderby et al. 2017; DiffAugment:
Zhao et al. 2020.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from creuset.recipe.remedy import Cause, Remedy
from creuset.recipe.sections import DataConfig, PlayerConfig, TrainingConfig

if TYPE_CHECKING:
    from creuset.models.gan_config import GANConfig

_SLOWER = 4
"""How many times slower than the critic: 4e-4 and 1e-4 in SAGAN."""
_PENALTY = 1.0
"""The weight that R3GAN begins with."""
_CRITIC_STEPS = 5
"""To one of the generator, as in WGAN."""
_NOISE = 0.1
_PACK = 2
_AUGMENTATIONS = ("translate", "cutout")
"""Those of DiffAugment that leave grey pictures' levels as they are. Dense critics see no likeness in what
was moved, and lose hold of the generator."""


class Rates:
    """What a recipe says of each player's optimizer."""

    def __init__(self, training: TrainingConfig, players: Mapping[str, PlayerConfig]) -> None:
        critic, generator = (players.get(name, PlayerConfig()) for name in ("critic", "generator"))
        self.critic, self.generator = (
            training.learning_rate if player.learning_rate is None else player.learning_rate
            for player in (critic, generator)
        )
        self.critic_steps = critic.num_steps


def gan_remedies(
    model: "GANConfig", cause: Cause, rates: Rates, data: DataConfig, kind: str
) -> Iterator[Remedy]:
    """Remedies in the order in which to try them.

    Args:
        model: The recipe's section.
        cause: What the alarm named.
        rates: Of the players.
        data: The recipe's section.
        kind: Of the data: "images" or "table".
    """
    match cause:
        case "memorising":
            yield from _against_memorising(model, kind)
        case "critic wins":
            yield from _against_a_winning_critic(model, rates)
        case "critic vanishes":
            yield from _against_a_vanishing_critic(model, rates)
        case "diversity loss":
            yield from _against_lost_diversity(model, rates, data)


def _is_held(model: "GANConfig") -> bool:
    """Whether anything keeps the critic smooth."""
    return model.objective.penalises_gradients or model.spectral_norm


def _penalty(model: "GANConfig") -> Remedy:
    settings: dict[str, object] = {"objective.r1": _PENALTY, "objective.r2": _PENALTY}
    if model.critic_norm == "batch":
        settings["model.critic_norm"] = "none"
    return Remedy(
        settings=settings,
        why="nothing held the critic's gradient; R1 and R2 do (Mescheder et al. 2018)",
        from_start=model.critic_norm == "batch",
    )


def _against_lost_diversity(model: "GANConfig", rates: Rates, data: DataConfig) -> Iterator[Remedy]:
    objective = model.objective
    if rates.generator > rates.critic:
        yield Remedy(
            settings={"players.generator.learning_rate": rates.critic / _SLOWER},
            why="the generator learned faster than its critic; two rates, the critic's the higher one "
            "(Heusel et al. 2017)",
        )
    if not _is_held(model):
        yield _penalty(model)
    if objective.name != "relativistic" and model.critic_norm != "batch":
        yield Remedy(
            settings={
                **_without_settings_of_the_loss(model),
                "objective.name": "relativistic",
                "objective.r1": objective.squared[0] or _PENALTY,
                "objective.r2": objective.squared[1] or _PENALTY,
            },
            why="each sample against a real one, with R1 and R2, covers modes (Huang et al. 2024)",
            from_start=True,
        )
    if model.pack == 1 and model.condition == "none" and data.batch_size % _PACK == 0:
        group = model.minibatch_group
        if not group or (data.batch_size // _PACK) % group == 0:
            yield Remedy(
                settings={"model.pack": _PACK},
                why="a critic that judges two samples together sees them repeat (Lin et al. 2018)",
                from_start=True,
            )


def _against_a_winning_critic(model: "GANConfig", rates: Rates) -> Iterator[Remedy]:
    if model.objective.name == "minimax":
        yield Remedy(
            settings={"objective.name": "non_saturating"},
            why="the gradient of minimax vanishes where the critic wins (Goodfellow et al. 2014, section 3)",
        )
    if rates.critic_steps > 1 and not model.objective.name.startswith("wgan"):
        yield Remedy(
            settings={"players.critic.num_steps": 1},
            why="the critic moved several times to the generator's one",
            from_start=True,
        )
    if rates.critic > _SLOWER * rates.generator:
        yield Remedy(
            settings={"players.critic.learning_rate": _SLOWER * rates.generator},
            why="the critic learned much faster than the generator (Heusel et al. 2017)",
        )
    if not _is_held(model):
        yield _penalty(model)
    if not model.objective.instance_noise:
        yield Remedy(
            settings={"objective.instance_noise": _NOISE},
            why="noise makes what the critic tells apart overlap (Sonderby et al. 2017)",
        )


def _against_a_vanishing_critic(model: "GANConfig", rates: Rates) -> Iterator[Remedy]:
    objective = model.objective
    if objective.name == "wgan":
        yield Remedy(
            settings={
                **_without_settings_of_the_loss(model),
                "objective.name": "wgan_gp",
                "players.critic.num_steps": _CRITIC_STEPS,
                **({"model.critic_norm": "none"} if model.critic_norm == "batch" else {}),
            },
            why="clipped weights leave a critic nothing to tell with; a penalty does not "
            "(Gulrajani et al. 2017)",
            from_start=True,
        )
    if rates.critic < rates.generator:
        yield Remedy(
            settings={"players.critic.learning_rate": rates.generator},
            why="the critic learned more slowly than the generator (Heusel et al. 2017)",
        )
    if max(objective.squared) > _PENALTY:
        weaker = [weight / 10 for weight in objective.squared]
        yield Remedy(
            settings={"objective.r1": weaker[0], "objective.r2": weaker[1]},
            why="the penalty held the critic's gradient near 0; a tenth of it",
        )
    if rates.critic_steps == 1:
        yield Remedy(
            settings={"players.critic.num_steps": _CRITIC_STEPS},
            why="a critic that tells nothing learns more between two steps of the generator (Arjovsky et al. "
            "2017)",
            from_start=True,
        )


def _against_memorising(model: "GANConfig", kind: str) -> Iterator[Remedy]:
    if kind == "images" and not model.objective.augment:
        is_dense = model.channels == ()
        yield Remedy(
            settings={"objective.augment": _AUGMENTATIONS[1:] if is_dense else _AUGMENTATIONS},
            why="the critic knows the training samples by heart; it sees each of them changed "
            "(Zhao et al. 2020); more data helps most",
        )
    if not model.objective.penalises_gradients and model.critic_norm != "batch":
        yield _penalty(model)
    elif max(model.objective.squared) > 0:
        stronger = [10 * weight for weight in model.objective.squared]
        yield Remedy(
            settings={"objective.r1": stronger[0], "objective.r2": stronger[1]},
            why="a stronger penalty keeps the critic from knowing single samples (Mescheder et al. 2018)",
        )


def _without_settings_of_the_loss(model: "GANConfig") -> dict[str, object]:
    """Settings that only the present loss has, back at their defaults: another one would refuse them."""
    fields = type(model.objective).model_fields
    return {
        f"objective.{name}": fields[name].default
        for name in ("penalty_weight", "clip_weights", "label_smoothing")
        if getattr(model.objective, name) != fields[name].default
    }
