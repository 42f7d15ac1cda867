"""Changes to a YOLO network's weights that need no training: one class out of many, and points between two networks."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from models.errors import TrainingError

PERSON = "person"


class StrongestClass(nn.Module):  # type: ignore[misc]  # torch comes without types here
    """Class scores (B, C, H, W) → the highest of them (B, 1, H, W)."""

    def forward(self, scores: torch.Tensor) -> torch.Tensor:
        return scores.amax(dim=1, keepdim=True)


def only_person(network: Any) -> Any:
    """A copy that knows the class person alone, with exactly the scores and boxes it had for it.

    The last convolution of each class branch keeps the row of ``person``; all before it stays. Raises TrainingError
    when no class is called so.
    """
    rows = [index for index, name in network.names.items() if str(name).lower() == PERSON]
    if not rows:
        raise TrainingError(f"the network knows no class 'person', only {', '.join(map(str, network.names.values()))}")
    result = copy.deepcopy(network)
    for branch in result.model[-1].cv3:
        branch[-1] = _row(branch[-1], rows[0])
    return _as_one_class(result)


def everybody(network: Any) -> Any:
    """A copy of a network all of whose classes are people (standing, fallen): their highest score is the person's."""
    result = copy.deepcopy(network)
    for branch in result.model[-1].cv3:
        branch[-1] = nn.Sequential(branch[-1], StrongestClass())
    return _as_one_class(result)


def between(start: Any, tuned: Any, share: float) -> Any:
    """(1 - share) of ``start`` and ``share`` of ``tuned``, weight by weight (WiSE-FT, Wortsman et al. 2022)."""
    result = copy.deepcopy(start)
    one, other = start.state_dict(), tuned.state_dict()
    if {name: value.shape for name, value in one.items()} != {name: value.shape for name, value in other.items()}:
        raise TrainingError("only two networks of one architecture can be mixed")
    mixed = {
        name: torch.lerp(value.float(), other[name].float(), share) if value.is_floating_point() else value
        for name, value in one.items()
    }
    result.load_state_dict(mixed)
    return result


def rescored(network: Any, scale: float, offset: float) -> Any:
    """A copy of a one-class network whose person logits are ``scale`` · logit + ``offset``; its boxes stay."""
    if scale <= 0:
        raise TrainingError(f"scores must stay in their order: expected a scale above 0, got {scale:g}")
    result = copy.deepcopy(network)
    with torch.no_grad():
        for branch in result.model[-1].cv3:
            branch[-1].weight.mul_(scale)
            branch[-1].bias.mul_(scale).add_(offset)
    return result


def _row(layer: Any, index: int) -> Any:
    """A 1×1 convolution with one of the output channels of ``layer``."""
    single = nn.Conv2d(layer.in_channels, 1, layer.kernel_size, layer.stride, layer.padding)
    with torch.no_grad():
        single.weight.copy_(layer.weight[index : index + 1])
        single.bias.copy_(layer.bias[index : index + 1])
    return single


def _as_one_class(network: Any) -> Any:
    head = network.model[-1]
    head.nc, head.no = 1, head.reg_max * 4 + 1
    network.names, network.nc = {0: PERSON}, 1
    network.yaml = {**network.yaml, "nc": 1}
    return network
