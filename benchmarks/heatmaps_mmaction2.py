"""MMAction2's heatmaps of joints and limbs, for benchmarks/heatmaps.py; runs in an environment of its own."""

from __future__ import annotations

import numpy as np
from peers import allow_mmaction2, serve


def main() -> None:
    allow_mmaction2()
    from mmaction.datasets.transforms import GeneratePoseTarget

    kinds = {
        "keypoint": GeneratePoseTarget(sigma=0.6, with_kp=True, with_limb=False),
        "limb": GeneratePoseTarget(sigma=0.6, with_kp=False, with_limb=True),
    }
    inputs = {}

    def load(folder: str, size: int) -> list:
        arrays = {name: np.load(f"{folder}/{name}.npy") for name in ("keypoint", "keypoint_score")}
        inputs.update(arrays, img_shape=(size, size))
        return [list(map(list, kinds["limb"].skeletons))]

    def draw(kind: str) -> None:
        inputs["drawn"] = kinds[kind].transform(dict(inputs))["imgs"]

    def save(path: str) -> None:
        np.save(path, inputs["drawn"])

    serve({"load": load, "draw": draw, "save": save})


if __name__ == "__main__":
    main()
