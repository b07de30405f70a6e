"""Published figures of samplers and geometry: how they are stored and compared.

``data/pipeline_*.json`` holds some of them. ``VIDHUB_REFERENCE`` may name a folder with all (``pipeline/sampling.json``
and others, arrays beside them in ``.npz``).
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest


def cases(topic):
    """pytest parameters (op, params, input, expected) of every known case of ``topic``."""
    shown = Path(__file__).parent / "data" / f"pipeline_{topic}.json"
    files = {"": (shown, None)}
    if folder := os.environ.get("VIDHUB_REFERENCE"):
        path = Path(folder) / "pipeline" / f"{topic}.json"
        files["all-"] = (path, np.load(path.with_suffix(".npz")))
    for prefix, (path, arrays) in files.items():
        for case in json.loads(path.read_text())["cases"]:
            params, given, expected = (_read(case.get(k, {}), arrays) for k in ("params", "input", "expected"))
            yield pytest.param(case["op"], params, given, expected, id=prefix + case["id"])


def check(actual, expected, **tolerance):
    """Every value of ``actual`` is the expected one: whole numbers exactly, others to 1e-6 of themselves."""
    for key, value in actual.items():
        value, wanted = np.asarray(value), np.asarray(expected[key])
        if not tolerance and value.dtype.kind in "iub" and wanted.dtype.kind in "iub":
            assert np.array_equal(value, wanted), key
        else:
            value, wanted = value.astype(np.float64), wanted.astype(np.float64)
            np.testing.assert_allclose(value, wanted, **(tolerance or {"rtol": 1e-6, "atol": 1e-6}), err_msg=key)


def _read(value, arrays):
    if isinstance(value, list):
        return [_read(v, arrays) for v in value]
    if not isinstance(value, dict):
        return {"Infinity": float("inf"), "NaN": float("nan")}.get(value, value) if isinstance(value, str) else value
    if "npz" in value:
        return arrays[value["npz"]]
    if "rand" in value:
        return _draw(**value)
    if "values" in value and "dtype" in value:
        return np.array(value["values"], value["dtype"]).reshape(value["shape"])
    return {k: _read(v, arrays) for k, v in value.items()}


def _draw(rand, seed, shape, low=0, high=1, dtype=None, mul=1.0, add=0.0):
    g = np.random.RandomState(seed)
    if rand == "normal":
        values = g.standard_normal(shape) * mul + add
    else:
        values = (g.randint if rand == "randint" else g.uniform)(low, high, shape)
    return values.astype(dtype or ("int64" if rand == "randint" else "float32"))
