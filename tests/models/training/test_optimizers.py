import pytest
import torch
from torch import nn

from models.training.distributed import World
from models.training.optimizers import Descent, Ranger
from models.training.watch import DivergedError


def descent(parameter: nn.Parameter, precision: str = "fp32") -> Descent:
    optimizer = Ranger([parameter], lr=0.1, betas=(0.9, 0.99), every=2)
    return Descent(optimizer, World(), torch.device("cpu"), precision)  # pyright: ignore[reportArgumentType]


def advance(made: Descent, parameter: nn.Parameter, slope: float, rate: float = 0.1) -> None:
    made.start(rate)
    made.backward((slope * parameter).sum())
    made.finish()


def test_slow_weights_follow_every_second_step():
    """RAdam's first steps are those of plain momentum: 0.1 each for a gradient of 1."""
    parameter = nn.Parameter(torch.zeros(3))
    made = descent(parameter)
    advance(made, parameter, 1.0)
    assert torch.allclose(parameter.detach(), torch.tensor(-0.1))
    advance(made, parameter, 1.0)
    assert torch.allclose(parameter.detach(), torch.tensor(-0.1))  # half of −0.2


def test_a_step_that_overflows_is_none_for_the_slow_weights_either():
    parameter = nn.Parameter(torch.zeros(3))
    made = descent(parameter, "fp16")
    advance(made, parameter, 1e36)
    assert made.optimizer.state_dict()["count"] == 0
    assert torch.equal(parameter.detach(), torch.zeros(3))
    for _ in range(2):
        advance(made, parameter, 1.0)
    assert made.optimizer.state_dict()["count"] == 2
    assert torch.allclose(parameter.detach(), torch.tensor(-0.1))


def test_a_gradient_that_is_no_number_stops_without_clipping_too():
    parameter = nn.Parameter(torch.zeros(3))
    with pytest.raises(DivergedError, match="norm"):
        advance(descent(parameter), parameter, float("nan"))
    assert torch.equal(parameter.detach(), torch.zeros(3))


def test_the_rate_is_the_asked_one_whatever_the_checkpoint_had():
    parameter = nn.Parameter(torch.zeros(3))
    made, again = descent(parameter), descent(parameter)
    advance(made, parameter, 1.0)
    again.load_state(made.state())
    advance(again, parameter, 1.0, rate=0.01)
    assert again.optimizer.param_groups[0]["lr"] == 0.01
