"""BSN: where actions may begin and end, then how well each pair of such places fits an action.

Lin et al., "BSN: Boundary Sensitive Network for Temporal Action Proposal Generation", ECCV 2018,
https://arxiv.org/abs/1806.02964. Published on ActivityNet 1.3: AUC 66.26, AR@100 74.27 %.

``bsn_tem`` rates the steps of a video; ``transforms.localization`` makes proposals of that and describes each by 32
numbers; ``bsn_pem`` rates those.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import InputError
from ._registry import register_model
from .layers.localizer import check_features

# the outputs are of this scale before the sigmoid, as if the networks ran so much cooler
_TEM_SCALE, _PEM_SCALE = 0.01, 0.1


class TEM(nn.Module):
    """Temporal evaluation: features (B, C, T) -> probabilities (B, 3, T) of action, start and end.

    Args:
        feature_dim: channels of the features.
        num_steps: T, into which a video of any length is divided; None: as many as it has features.
    """

    num_classes = 0

    def __init__(self, feature_dim: int = 400, *, hidden_dim: int = 512, num_steps: int | None = None):
        super().__init__()
        self.feature_dim, self.num_steps = feature_dim, num_steps
        self.conv1 = nn.Conv1d(feature_dim, hidden_dim, 3, padding=1)
        self.conv2 = nn.Conv1d(hidden_dim, hidden_dim, 3, padding=1)
        self.conv3 = nn.Conv1d(hidden_dim, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        check_features(x, self.feature_dim, self.num_steps)
        x = F.relu(self.conv2(F.relu(self.conv1(x))))
        return (_TEM_SCALE * self.conv3(x)).sigmoid()


class PEM(nn.Module):
    """Proposal evaluation: descriptions (N, 32) -> how well each proposal fits an action, (N, 1)."""

    num_classes = num_steps = 0

    def __init__(self, feature_dim: int = 32, *, hidden_dim: int = 256):
        super().__init__()
        self.feature_dim = feature_dim
        self.fc1 = nn.Linear(feature_dim, hidden_dim)
        self.fc2 = nn.Linear(hidden_dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 2 or x.shape[1] != self.feature_dim:
            raise InputError(f"expected proposals of shape (number, {self.feature_dim}), got {tuple(x.shape)}.")
        return (_PEM_SCALE * self.fc2(F.relu(_PEM_SCALE * self.fc1(x)))).sigmoid()


@register_model
def bsn_tem(num_steps: int | None = 100, **kwargs) -> TEM:
    """BSN's temporal evaluation on two-stream features of 400 classes: (B, 400, 100) -> (B, 3, 100)."""
    return TEM(num_steps=num_steps, **kwargs)


@register_model
def bsn_pem(**kwargs) -> PEM:
    """BSN's proposal evaluation: (N, 32) -> (N, 1)."""
    return PEM(**kwargs)
