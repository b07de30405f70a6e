"""Networks against the outputs of the published implementations, for weights and inputs made by a recipe.

``VIDHUB_REFERENCE`` may name a folder of more references (``mmaction2/*.json``, ``pytorchvideo/*.json``); those of
our own published weights are all tried.
"""

import gzip
import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from golden import difference, recipe_arguments, recipe_input, recipe_state, to_double

from vidhub.models._checkpoint import load_state_dict
from vidhub.models._registry import entry_point
from vidhub.models.bsn import PEM, TEM
from vidhub.weights.tables import WEIGHTS

DATA = Path(__file__).parent / "data"
SHOWN = [
    case for path in sorted(DATA.glob("golden_*.json.gz")) for case in json.loads(gzip.decompress(path.read_bytes()))
]


def published(case):
    """The entry that a reference is of, or None."""
    repository = f"hf://{case.get('hub_repo')}/"
    address = case.get("weights", "").lstrip("(")  # one is listed so
    for is_it in (
        lambda url: url.startswith(repository),
        lambda url: f"/{case.get('name')}_20" in url,  # a date follows; one is listed under another's address
        lambda url: url == address,
    ):
        for weights in WEIGHTS.values():
            if is_it(weights.url):
                return weights
    return None


def references():
    folder = os.environ.get("VIDHUB_REFERENCE")
    for path in sorted(Path(folder).glob("*/*.json")) if folder else ():
        case = json.loads(path.read_text())
        if isinstance(case, dict) and "inputs" in case and published(case):
            yield pytest.param(path, case, id=path.stem)


def load(case, kept=None, num_classes=None):
    weights = published(case)
    arguments = weights.arguments | ({"num_classes": num_classes} if num_classes else {})
    model = entry_point(weights.arch)(**arguments).eval()
    load_state_dict(model, recipe_state(case["keys"], kept or {}, case.get("gain") or 2.0))
    return model


def check(model, name, inputs, expected):
    arguments = recipe_arguments(name, inputs)
    with torch.inference_mode():
        out = torch.cat([model(*each) for each in arguments])
    error, apart = difference(out, expected)
    if error > 1e-3:  # some networks lose that much in float32: then by as much as it differs from float64
        model.double()
        with torch.inference_mode():
            exact = torch.cat([model(*to_double(each)) for each in arguments])
        rounding = difference(out, exact.numpy())
        assert error < 3 * rounding[0]
        assert apart < 3 * rounding[1]
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


@pytest.mark.parametrize("case", SHOWN, ids=lambda case: published(case).name)
def test_outputs(case):
    if case.get("layout") == "features":
        return check_features(load(case), case["name"], case["shape"], case["outputs"], case["step"])
    kept = {name: np.array(values, np.float32) for name, values in case.get("kept", {}).items()}
    inputs = case.get("inputs") or {case["layout"]: case["shape"]}
    check(load(case, kept), case["name"], inputs, case["logits"])


@pytest.mark.parametrize(("path", "case"), list(references()))
def test_reference_folder(path, case):
    arrays = np.load(path.with_suffix(".npz"))
    # one reference has another number of classes than the published file
    model = load(case, arrays, arrays["out:logits"].shape[1] if "out:logits" in arrays else None)
    # of V-JEPA's pre-training, and BMN's mask, which is counted there
    unused = sum(math.prod(shape) for key, shape, *_ in case["keys"] if ".predictor." in key or key == "sample_mask")
    assert sum(p.numel() for p in model.parameters()) == case["parameters"] - unused
    for what in {"out:logits", "out:cls_score"} & set(arrays):
        check(model, path.stem, case["inputs"], arrays[what])
    if "features" in case["inputs"] or "bsp_features" in case["inputs"]:
        (shape,) = case["inputs"].values()
        check_features(model, path.stem, shape, {k: arrays[k] for k in arrays if k.startswith("out:")})
