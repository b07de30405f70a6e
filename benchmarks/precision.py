"""Whether a network's fast forms name the same class: float32 and bfloat16 against the plain network, on real videos.

    python benchmarks/precision.py VIDEO ... [--model NAME]

Of networks with weights of a seed the likeliest class is mostly the same for all videos: only trained ones tell much.
By default that is the small network inside the package.
"""

from __future__ import annotations

import argparse
import time

import torch

import vidhub
from vidhub.errors import WeightsError
from vidhub.weights.tables import EMBEDDED


def build(name: str) -> torch.nn.Module:
    """With published weights, or where they cannot be had with those of a seed."""
    try:
        return vidhub.create_model(name, pretrained=True)
    except WeightsError:
        print(f"{name}: no weights at hand, so those of a seed")
        torch.manual_seed(0)
        return vidhub.create_model(name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", nargs="+")
    parser.add_argument("--model", default=EMBEDDED)
    args = parser.parse_args()
    model = build(args.model)
    transform = vidhub.create_transform(model.data_config)
    clips = []
    for path in args.videos:
        with vidhub.VideoReader(path) as reader:
            clips.append(transform.load(reader))
    forms = {"plain, float32": model}
    for dtype in (torch.float32, torch.bfloat16):
        forms[f"fast, {str(dtype).removeprefix('torch.')}"] = vidhub.optimize(model, clips[0], dtype=dtype)
    found = {}
    for name, form in forms.items():
        with torch.inference_mode():
            form(clips[0])
            started = time.perf_counter()
            logits = torch.cat([form(clip) for clip in clips])
        seconds = time.perf_counter() - started
        found[name] = logits.argmax(-1)
        same = int((found[name] == next(iter(found.values()))).sum())
        kinds = len(found[name].unique())
        print(
            f"{name:16} {1000 * seconds / len(clips):7.1f} ms a clip, "
            f"the same class for {same} of {len(clips)} ({kinds} different)"
        )


if __name__ == "__main__":
    main()
