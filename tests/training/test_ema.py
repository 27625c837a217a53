import pytest
import torch
from torch import nn

from creuset.training.ema import ExponentialMovingAverage


def module() -> nn.Linear:
    made = nn.Linear(3, 2)
    made.bias.requires_grad_(False)
    return made


def test_the_average_follows_its_recursion() -> None:
    net = module()
    ema = ExponentialMovingAverage(net, 0.95)
    expected = net.weight.detach().double().clone()
    for step in range(300):
        with torch.no_grad():
            net.weight.add_(0.01 * (step % 7))
        ema.update(step)
        decay = min(0.95, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * net.weight.detach().double()
    assert torch.allclose(ema.averages["weight"].double(), expected, rtol=1e-5)
    assert ema.averages.keys() == {"weight"}  # what is not trained has no average


def test_the_first_weights_are_soon_forgotten() -> None:
    net = module()
    ema = ExponentialMovingAverage(net, 0.999)
    with torch.no_grad():
        net.weight.add_(1000.0)
    for step in range(50):
        ema.update(step)
    # product of (1 + t) / (10 + t) over the first 50 steps: 9! 50! / 59!
    left = 1.0
    for step in range(50):
        left *= (1 + step) / (10 + step)
    assert float((net.weight - ema.averages["weight"]).detach().mean()) == pytest.approx(
        1000 * left, abs=1e-3
    )


def test_averages_are_used_within_the_block_alone() -> None:
    net = module()
    ema = ExponentialMovingAverage(net, 0.9)
    with torch.no_grad():
        net.weight.fill_(5.0)
    ema.update(0)
    trained, average = net.weight.detach().clone(), ema.averages["weight"].clone()
    with ema.applied():
        assert torch.equal(net.weight, average)
        assert not torch.equal(net.weight, trained)
    assert torch.equal(net.weight, trained)
    with pytest.raises(ZeroDivisionError), ema.applied():
        raise ZeroDivisionError
    assert torch.equal(net.weight, trained)
    assert torch.equal(ema.averages["weight"], average)


def test_running_statistics_are_averaged_like_weights() -> None:
    net = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    net.register_buffer("constant", torch.arange(3.0))
    ema = ExponentialMovingAverage(net, 0.5)
    assert {"1.running_mean", "1.running_var"} <= ema.averages.keys()
    assert not {"constant", "1.num_batches_tracked"} & ema.averages.keys()
    expected = torch.zeros(2)
    for step in range(20):
        net(torch.randn(8, 3) + step)
        ema.update(step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * net[1].running_mean
    torch.testing.assert_close(ema.averages["1.running_mean"], expected)
    last = net[1].running_mean.clone()
    with ema.applied():
        torch.testing.assert_close(net[1].running_mean, expected)
    assert torch.equal(net[1].running_mean, last)


def test_averages_fit_statistics_of_weights_that_still_move() -> None:
    """A layer whose weight turns round: the average's outputs are as far spread as its norm says they are."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1, affine=False, momentum=0.5))
    ema = ExponentialMovingAverage(net, 0.99)
    x = torch.randn(512, 1) + 3
    for step in range(2000):
        with torch.no_grad():
            net[0].weight.fill_(1.0 + 0.9 * (step % 2))
        net(x)
        ema.update(step)
    net.eval()
    with ema.applied():
        assert float(net(x).detach().mean()) == pytest.approx(0, abs=0.1)


def test_averages_are_taken_over() -> None:
    first, second = ExponentialMovingAverage(module(), 0.9), ExponentialMovingAverage(module(), 0.9)
    second.load(first.averages)
    assert torch.equal(first.averages["weight"], second.averages["weight"])
    assert first.averages["weight"] is not second.averages["weight"]
