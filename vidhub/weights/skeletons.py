"""Joints of the skeletons that checkpoints and data sets use, and what joins them: plain data, cheap to import."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import InputError, check_choice

Edge = tuple[int, int]


@dataclass(frozen=True)
class Layout:
    """A skeleton: joints count from 0.

    ``edges`` lead from a joint to the one nearer the centre. ``bones`` says, where that differs from the edges, which
    joint each joint's bone comes from; ``limbs`` which pairs limb heatmaps show, in the order of their channels.
    """

    num_joints: int
    edges: tuple[Edge, ...]
    center: int = 0
    left: tuple[int, ...] = ()  # joints, paired with those of `right`
    right: tuple[int, ...] = ()
    bones: tuple[Edge, ...] = ()
    limbs: tuple[Edge, ...] = ()
    dims: int = 2  # in 2D a third coordinate is the detector's score
    # of 3D skeletons, what turns them upright: the body's middle, and lines from bottom to top and from left to right
    middle: int | None = None
    spine: Edge | None = None
    shoulders: Edge | None = None

    @property
    def scored(self) -> bool:
        """Whether a third coordinate is the detector's score."""
        return self.dims == 2

    @property
    def origins(self) -> list[int]:
        """The joint that each joint's bone comes from; itself where it has none."""
        parents = list(range(self.num_joints))
        for joint, parent in self.bones or self.edges:
            parents[joint] = parent
        return parents

    @property
    def mirrored(self) -> list[int]:
        """The joint that each joint is in a mirror image."""
        return _swapped(self.num_joints, zip(self.left, self.right, strict=True))

    @property
    def shown_limbs(self) -> tuple[Edge, ...]:
        return self.limbs or self.edges

    @property
    def mirrored_limbs(self) -> list[int]:
        """The limb that each limb is in a mirror image."""
        joints, limbs = self.mirrored, [frozenset(limb) for limb in self.shown_limbs]
        return [limbs.index(frozenset(joints[j] for j in limb)) for limb in limbs]


def _swapped(count: int, pairs) -> list[int]:
    order = list(range(count))
    for a, b in pairs:
        order[a], order[b] = b, a
    return order


LayoutLike = str | Sequence[Edge] | Layout  # a name of `LAYOUTS`, or one's own edges


def find_layout(layout: LayoutLike) -> Layout:
    """The layout of this name, or the one with these edges: (joint, joint nearer the centre) each.

    Of one's own edges the centre is the first joint that no edge starts from. A ``Layout`` stays as it is.

    Raises:
        UnknownNameError: no such name.
        InputError: these are no edges.

    >>> find_layout("coco").num_joints
    17
    >>> find_layout([(0, 1), (2, 1)]).center
    1
    """
    if isinstance(layout, Layout):
        return layout
    if isinstance(layout, str):
        check_choice("skeleton layout", layout, LAYOUTS)
        return LAYOUTS[layout]
    try:
        edges = tuple((int(a), int(b)) for a, b in layout)
    except (TypeError, ValueError):
        edges = ()
    if not edges or min(map(min, edges)) < 0:
        raise InputError(f"a skeleton layout is one of {', '.join(LAYOUTS)}, or a list of edges, not {layout!r}.")
    count = max(map(max, edges)) + 1
    starts = {a for a, _ in edges}
    return Layout(count, edges, next((j for j in range(count) if j not in starts), 0))


LAYOUTS = {
    # NTU RGB+D, Kinect v2
    "nturgb+d": Layout(
        25,
        (
            *((0, 1), (1, 20), (2, 20), (3, 2), (4, 20), (5, 4), (6, 5), (7, 6), (8, 20), (9, 8), (10, 9), (11, 10)),
            *((12, 0), (13, 12), (14, 13), (15, 14), (16, 0), (17, 16), (18, 17), (19, 18)),
            *((21, 7), (22, 7), (23, 11), (24, 11)),
        ),
        center=20,
        left=(4, 5, 6, 7, 12, 13, 14, 15, 21, 22),
        right=(8, 9, 10, 11, 16, 17, 18, 19, 23, 24),
        # the thumbs' bones come from the hands, the hand tips' from the thumbs
        bones=(
            *((0, 1), (1, 20), (2, 20), (3, 2), (4, 20), (5, 4), (6, 5), (7, 6), (8, 20), (9, 8), (10, 9), (11, 10)),
            *((12, 0), (13, 12), (14, 13), (15, 14), (16, 0), (17, 16), (18, 17), (19, 18)),
            *((21, 22), (22, 7), (23, 24), (24, 11)),
        ),
        dims=3,
        middle=1,
        spine=(0, 1),
        shoulders=(4, 8),
    ),
    "coco": Layout(
        17,
        (
            *((15, 13), (13, 11), (16, 14), (14, 12), (11, 5), (12, 6), (9, 7), (7, 5), (10, 8), (8, 6), (5, 0)),
            *((6, 0), (1, 0), (3, 1), (2, 0), (4, 2)),
        ),
        left=(1, 3, 5, 7, 9, 11, 13, 15),
        right=(2, 4, 6, 8, 10, 12, 14, 16),
        bones=(
            *((1, 0), (2, 0), (3, 1), (4, 2), (5, 0), (6, 0), (7, 5), (8, 6), (9, 7), (10, 8), (11, 0), (12, 0)),
            *((13, 11), (14, 12), (15, 13), (16, 14)),
        ),
        limbs=(
            *((0, 5), (0, 6), (5, 7), (7, 9), (6, 8), (8, 10), (5, 11), (11, 13), (13, 15), (6, 12), (12, 14)),
            *((14, 16), (0, 1), (0, 2), (1, 3), (2, 4), (11, 12)),
        ),
    ),
    "openpose": Layout(
        18,
        (
            *((4, 3), (3, 2), (7, 6), (6, 5), (13, 12), (12, 11), (10, 9), (9, 8), (11, 5), (8, 2), (5, 1), (2, 1)),
            *((0, 1), (15, 0), (14, 0), (17, 15), (16, 14)),
        ),
        center=1,
        left=(5, 6, 7, 11, 12, 13, 15, 17),
        right=(2, 3, 4, 8, 9, 10, 14, 16),
        bones=(
            *((1, 0), (2, 1), (3, 2), (4, 3), (5, 1), (6, 5), (7, 6), (8, 2), (9, 8), (10, 9), (11, 5), (12, 11)),
            *((13, 12), (14, 0), (15, 0), (16, 14), (17, 15)),
        ),
    ),
    # OpenPose's newer model, BODY_25: the older one's joints, the middle of the hips, toes and heels
    "openpose_25": Layout(
        25,
        (
            *((0, 1), (2, 1), (3, 2), (4, 3), (5, 1), (6, 5), (7, 6), (8, 1), (9, 8), (10, 9), (11, 10), (12, 8)),
            *((13, 12), (14, 13), (15, 0), (16, 0), (17, 15), (18, 16), (19, 14), (20, 19), (21, 14), (22, 11)),
            *((23, 22), (24, 11)),
        ),
        center=1,
        left=(5, 6, 7, 12, 13, 14, 16, 18, 19, 20, 21),
        right=(2, 3, 4, 9, 10, 11, 15, 17, 22, 23, 24),
    ),
    # MediaPipe and others: the wrist, then thumb, index, middle, ring and little finger from the palm to the tip
    "hand": Layout(21, tuple((j, 0 if j % 4 == 1 else j - 1) for j in range(1, 21))),
    # Kinect v1, as UTD-MHAD has it: head, shoulder centre, spine, hip centre, left and right arm, left and right leg
    "kinect_v1": Layout(
        20,
        (
            *((0, 1), (1, 2), (3, 2), (4, 1), (5, 4), (6, 5), (7, 6), (8, 1), (9, 8), (10, 9), (11, 10)),
            *((12, 3), (13, 12), (14, 13), (15, 14), (16, 3), (17, 16), (18, 17), (19, 18)),
        ),
        center=2,
        left=(4, 5, 6, 7, 12, 13, 14, 15),
        right=(8, 9, 10, 11, 16, 17, 18, 19),
        dims=3,
        middle=3,
        spine=(3, 1),
        shoulders=(4, 8),
    ),
    # Penn Action: head, then shoulders, elbows, wrists, hips, knees and ankles, left before right
    "penn_action": Layout(
        13,
        ((1, 0), (2, 0), (3, 1), (4, 2), (5, 3), (6, 4), (7, 1), (8, 2), (9, 7), (10, 8), (11, 9), (12, 10)),
        left=(1, 3, 5, 7, 9, 11),
        right=(2, 4, 6, 8, 10, 12),
        limbs=(
            *((0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6), (1, 7), (2, 8), (7, 9), (8, 10), (9, 11), (10, 12)),
            *((1, 2), (7, 8)),
        ),
    ),
}
