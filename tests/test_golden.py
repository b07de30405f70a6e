"""Networks against the outputs of the published implementations, for weights and inputs made by a recipe.

``VIDHUB_REFERENCE`` may name a folder of more references (``mmaction2/*.json``, ``pytorchvideo/*.json``); those of
our own published weights are all tried.
"""

import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from golden import difference, recipe_clip, recipe_input, recipe_state

from vidhub.models._checkpoint import load_state_dict
from vidhub.models._registry import entry_point
from vidhub.models.bsn import PEM, TEM
from vidhub.weights.tables import WEIGHTS

BY_URL = {w.url: w for w in WEIGHTS.values()}
DATA = Path(__file__).parent / "data"
SHOWN = [
    case for path in sorted(DATA.glob("golden_*.json.gz")) for case in json.loads(gzip.decompress(path.read_bytes()))
]


def references():
    folder = os.environ.get("VIDHUB_REFERENCE")
    for path in sorted(Path(folder).glob("*/*.json")) if folder else ():
        case = json.loads(path.read_text())
        if isinstance(case, dict) and "weights" in case:
            case["weights"] = case["weights"].lstrip("(")  # one is listed so
        if isinstance(case, dict) and case.get("weights") in BY_URL:
            yield pytest.param(path, case, id=path.stem)


def load(case, kept=None):
    weights = BY_URL[case["weights"]]
    model = entry_point(weights.arch)(**weights.arguments).eval()
    load_state_dict(model, recipe_state(case["keys"], kept or {}, case.get("gain", 2.0)))
    return model


def check(model, name, layout, shape, logits):
    with torch.inference_mode():
        out = torch.cat([model(clip[None]) for clip in recipe_clip(name, layout, shape)])
    error, apart = difference(out, logits)
    if error > 1e-3:  # some networks lose that much in float32: then by as much as it differs from float64
        model.double()
        with torch.inference_mode():
            exact = torch.cat([model(clip[None].double()) for clip in recipe_clip(name, layout, shape)])
        rounding = difference(out, exact.numpy())
        assert error < 2 * rounding[0]
        assert apart < 2 * rounding[1]
    else:
        assert apart < 2e-2


def check_features(model, name, shape, outputs, step=1):
    """Of a network on features; of the outputs' last two axes only every ``step``-th value is known."""
    part = {TEM: "::tem", PEM: "::pem"}.get(type(model), "")
    with torch.inference_mode():
        out = model(recipe_input(name + part, shape))
    for i, (key, ref) in enumerate(outputs.items()):
        ours = out if isinstance(out, torch.Tensor) else out[i]
        ours = ours[..., ::step, ::step] if ours.ndim == 4 else ours
        error, apart = difference(ours, ref)
        assert error < 1e-3, key
        assert apart < 2e-2, key


@pytest.mark.parametrize("case", SHOWN, ids=lambda case: BY_URL[case["weights"]].name)
def test_outputs(case):
    if case["layout"] == "features":
        return check_features(load(case), case["name"], case["shape"], case["outputs"], case["step"])
    check(load(case), case["name"], case["layout"], case["shape"], case["logits"])


@pytest.mark.parametrize(("path", "case"), list(references()))
def test_reference_folder(path, case):
    arrays = np.load(path.with_suffix(".npz"))
    model = load(case, arrays)
    masks = sum(np.prod(shape) for key, shape, *_ in case["keys"] if key == "sample_mask")  # counted there
    assert sum(p.numel() for p in model.parameters()) == case["parameters"] - masks
    if "out:logits" in arrays:
        layout, shape = next((k, v) for k, v in case["inputs"].items() if k.startswith(("clip", "frames", "mel")))
        check(model, path.stem, layout, shape, arrays["out:logits"])
    elif "features" in case["inputs"] or "bsp_features" in case["inputs"]:
        (shape,) = case["inputs"].values()
        check_features(model, path.stem, shape, {k: arrays[k] for k in arrays if k.startswith("out:")})
