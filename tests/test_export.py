"""Networks in other formats: what is written gives the network's outputs, at any batch size."""

import importlib.util

import pytest
import torch
from torch import nn

import vidhub
from vidhub.cli import main
from vidhub.engine.example import example_inputs
from vidhub.errors import InputError, VidhubError

pytest.importorskip("onnxscript")
ort = pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return vidhub.create_model("bsn_tem", feature_dim=8, hidden_dim=8)


def test_names_of_inputs_and_outputs(small, tmp_path):
    path = vidhub.export(small, example_inputs(small), tmp_path / "new" / "a.onnx")
    session = ort.InferenceSession(path)
    assert [(x.name, x.shape[1:]) for x in session.get_inputs()] == [("x", [8, 100])]
    assert [x.name for x in session.get_outputs()] == ["logits"]
    assert sorted(p.name for p in path.parent.iterdir()) == ["a.onnx"]


def test_a_fixed_batch(small, tmp_path):
    path = vidhub.export(small, torch.randn(2, 8, 100), tmp_path / "a.onnx", dynamic_batch=False)
    assert ort.InferenceSession(path).get_inputs()[0].shape == [2, 8, 100]


class Baked(nn.Module):
    """Its batch is a number of the example's."""

    def forward(self, x):
        return x.sum(1) / int(x.shape[0])


class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


def test_what_cannot_be_exported_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="Branching cannot be exported as"):
        vidhub.export(Branching(), torch.randn(2, 3), tmp_path / "a.pt2")
    assert not list(tmp_path.iterdir())


def test_another_suffix_and_missing_packages(small, tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"\.onnx or \.pt2"):
        vidhub.export(small, example_inputs(small), tmp_path / "a.pt")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(VidhubError, match=r"vidhub\[export\]"):
        vidhub.export(small, example_inputs(small), tmp_path / "a.onnx")


def test_modes_are_left_as_they_were(small, tmp_path):
    small.conv1.train()
    vidhub.export(small, example_inputs(small), tmp_path / "a.pt2")
    assert small.conv1.training
    assert not small.training
    small.eval()


def test_command(tmp_path, capsys):
    assert main(["export", "bsn_pem", str(tmp_path / "a.pt2"), "--no-weights"]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "a.pt2")
    program = torch.export.load(tmp_path / "a.pt2").module()
    assert program(torch.zeros(7, 32))[0].shape == (7, 1)
