"""Modules without numbers have the shapes of real ones."""

import subprocess
import sys

import torch
from torch import nn

from creuset.layers.form_only import form_only


def build() -> nn.Module:
    return nn.Sequential(nn.Embedding(7, 5), nn.Linear(5, 3), nn.LSTM(3, 4), nn.LayerNorm(4))


def test_parameters_have_shapes_and_no_numbers() -> None:
    with form_only():
        formed = build()
    assert {parameter.device.type for parameter in formed.parameters()} == {"meta"}
    shapes = {name: value.shape for name, value in formed.state_dict().items()}
    assert shapes == {name: value.shape for name, value in build().state_dict().items()}


def test_behind_it_values_are_drawn_again() -> None:
    with form_only():
        build()
    torch.manual_seed(0)
    assert float(nn.Linear(4, 4).weight.detach().std()) > 0


def test_it_does_not_load_what_makes_the_meta_device_slow() -> None:
    code = (
        "import sys; from torch import nn; from creuset.layers.form_only import form_only\n"
        "with form_only(): nn.Sequential(nn.Embedding(7, 5), nn.Linear(5, 3))\n"
        "sys.exit('sympy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
