"""The quantiser against a slow twin, its gradients, its running means against their closed form."""

from typing import Any

import pytest
import torch
from torch import Tensor

from creuset.device import BatchGenerator
from creuset.layers.vector_quantiser import VectorQuantiser


def quantiser(num_codes: int = 5, code_dim: int = 3, **settings: Any) -> VectorQuantiser:
    usual: dict[str, Any] = {"update": "ema", "decay": 0.9, "restart_below": 0.0}
    made = VectorQuantiser(num_codes, code_dim, **{**usual, **settings}).double()
    with torch.no_grad():
        made.codebook.copy_(torch.randn(num_codes, code_dim, dtype=torch.float64))
    return made


def vectors(size: int = 4, code_dim: int = 3, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(size, code_dim, 2, 3, generator=generator, dtype=torch.float64)


def draws(size: int, step: int = 0) -> BatchGenerator:
    return BatchGenerator(0, "test", step, size=size)


def test_each_vector_becomes_its_nearest_code() -> None:
    made, given = quantiser(), vectors()
    found = made(given, draws(4))
    assert found.codes.dtype == torch.int64
    for sample in range(4):
        for row in range(2):
            for column in range(3):
                vector = given[sample, :, row, column]
                distances = [float((vector - code).square().sum()) for code in made.codebook]
                nearest = distances.index(min(distances))
                assert int(found.codes[sample, row, column]) == nearest
                torch.testing.assert_close(found.vectors[sample, :, row, column], made.codebook[nearest])
                assert float(found.commitment[sample, row, column]) == pytest.approx(min(distances))


def test_of_equally_near_codes_the_first_is_taken() -> None:
    made = quantiser()
    with torch.no_grad():
        made.codebook[3] = made.codebook[1]
    given = made.codebook[1][None, :, None, None]
    assert made.nearest(given).tolist() == [[[1]]]


def test_the_gradient_passes_straight_through() -> None:
    """d f(z_q) / dz = f'(e), the gradient at the code as if it were the vector; codes get none of it."""
    for update in ("ema", "loss"):
        made, given = quantiser(update=update), vectors().requires_grad_()
        found = made(given, draws(4))
        weights = torch.randn_like(given)
        (weights * found.vectors.square()).sum().backward()
        assert given.grad is not None
        torch.testing.assert_close(given.grad, 2 * weights * made.look_up(found.codes).detach())
        assert made.codebook.grad is None or not made.codebook.grad.any()


def test_commitment_moves_vectors_and_the_codebook_loss_codes() -> None:
    made, given = quantiser(update="loss"), vectors().requires_grad_()
    found = made(given, draws(4))
    codes = made.look_up(found.codes).detach()
    found.commitment.sum().backward(retain_graph=True)
    torch.testing.assert_close(given.grad, 2 * (given - codes).detach())
    assert made.codebook.grad is None
    given.grad = None
    assert found.codebook is not None
    found.codebook.sum().backward()
    assert given.grad is None
    expected = torch.zeros_like(made.codebook)
    for code, vector in zip(
        found.codes.flatten(), given.detach().permute(0, 2, 3, 1).reshape(-1, 3), strict=True
    ):
        expected[code] += 2 * (made.codebook[code] - vector).detach()
    torch.testing.assert_close(made.codebook.grad, expected)


def test_running_means_follow_their_closed_form() -> None:
    """e_k = sum_t d^(T - t) s_k(t) / sum_t d^(T - t) n_k(t), with s and n the sums and counts of step t."""
    made, decay, num_steps = quantiser(decay=0.7), 0.7, 6
    sums, counts = torch.zeros(5, 3).double(), torch.zeros(5).double()
    for step in range(num_steps):
        given = vectors(seed=step)
        found = made(given, draws(4, step))
        age = decay ** (num_steps - 1 - step)
        for code, vector in zip(found.codes.flatten(), given.permute(0, 2, 3, 1).reshape(-1, 3), strict=True):
            sums[code] += age * vector
            counts[code] += age
        made.end_update()
    assert (counts > 0).all()
    torch.testing.assert_close(made.codebook, sums / counts[:, None])
    torch.testing.assert_close(made.use, counts * (1 - decay) * 5 / 24)


def test_a_code_without_use_stays_where_it_is_and_finite() -> None:
    made = quantiser()
    with torch.no_grad():
        made.codebook[4] = 1e3
    for step in range(20):
        made(vectors(seed=step), draws(4, step))
        made.end_update()
    assert made.codebook[4].tolist() == [1e3] * 3
    assert torch.isfinite(made.codebook).all()


def test_nothing_moves_in_evaluation_or_before_the_update() -> None:
    made = quantiser(restart_below=0.1)
    before = {name: value.clone() for name, value in made.state_dict().items()}
    made.eval()
    made(vectors(), draws(4))
    made.end_update()
    made.train()
    made(vectors(), draws(4))
    made.forget()
    made.end_update()
    made(vectors(), draws(4))
    assert all(torch.equal(value, before[name]) for name, value in made.state_dict().items())


@pytest.mark.parametrize("update", ["ema", "loss"])
def test_a_batch_in_parts_moves_the_codebook_as_a_whole_one(update: str) -> None:
    restart = 0.0 if update == "loss" else 0.5
    whole, cut = (quantiser(update=update, restart_below=restart) for _ in range(2))
    cut.load_state_dict(whole.state_dict())
    for step in range(3):
        given = vectors(8, seed=step)
        whole(given, draws(8, step))
        whole.end_update()
        generator = draws(8, step)
        for start, stop in ((0, 1), (1, 6), (6, 8)):
            cut(given[start:stop], generator.slice(start, stop))
        cut.end_update()
        for name, value in whole.state_dict().items():
            torch.testing.assert_close(cut.state_dict()[name], value, msg=lambda text, name=name: name + text)


def test_dead_codes_move_onto_vectors_of_the_batch() -> None:
    made = quantiser(num_codes=8, restart_below=0.02)
    with torch.no_grad():
        made.codebook[5:] = 1e3
    given = vectors()
    made(given, draws(4))
    made.end_update()
    rows = given.permute(0, 2, 3, 1).reshape(-1, 3)
    moved = made.codebook[5:]
    assert all((rows == code).all(1).any() for code in moved)
    assert len(moved.unique(dim=0)) == 3
    assert made.use[5:].tolist() == [1.0] * 3
    assert (made.nearest(given) >= 5).any()


def test_of_fewer_vectors_than_dead_codes_each_is_used_once() -> None:
    made = quantiser(num_codes=20, restart_below=0.9)
    with torch.no_grad():
        made.codebook[:] += 1e3
    given = vectors(1)
    before = made.codebook.clone()
    made(given, draws(1))
    made.end_update()
    assert int((made.codebook != before).any(1).sum()) <= 7  # six vectors, and the code that all fell to


def test_perplexity_counts_codes_that_are_used_alike() -> None:
    made = quantiser()
    made.use.copy_(torch.tensor([1.0, 1, 1, 0, 0]))
    assert float(made.perplexity) == pytest.approx(3)
    made.use.copy_(torch.ones(5))
    assert float(made.perplexity) == pytest.approx(5)
    made.use.zero_()
    assert float(made.perplexity) == pytest.approx(1)


def test_bfloat16_products_do_not_choose_codes() -> None:
    made, given = quantiser().float(), vectors(64).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(made.nearest(given), made.nearest(given.double()))
        made(given, draws(64))
    assert made._sums[0].dtype == torch.float32
