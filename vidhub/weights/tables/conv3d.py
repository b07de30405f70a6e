"""Published checkpoints of the 3D convolution family."""

from ..types import Weights

TABLE: tuple[Weights, ...] = ()
