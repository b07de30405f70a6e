"""Networks in other formats: what is written gives the network's outputs, at any batch size."""

import importlib.util

import pytest
import torch
from torch import nn

import vidhub
from vidhub.cli import main
from vidhub.engine.example import example_inputs
from vidhub.errors import InputError, VidhubError
from vidhub.models.resnet3d import LAYERS

pytest.importorskip("onnxscript")
ort = pytest.importorskip("onnxruntime")


NON_LOCAL = {"non_local": ((0,), (), (), ())}
VIT = {"dim": 48, "depth": 1, "num_heads": 2, "img_size": 32}
GRAPH = {"depths": (1, 1, 1), "width": 12}
SKELETONS = (2, 8, 25, 3)
# family: (entry point, arguments that make it small, view)
NETWORKS = {
    "c3d": ("c3d", {}, (3, 16, 112, 112)),
    "c2d": ("c2d_r50", {}, (3, 4, 32, 32)),
    "i3d non-local dot product": ("i3d_r50_nl_dot_product", NON_LOCAL, (3, 8, 32, 32)),
    "i3d non-local gaussian": ("i3d_r50_nl_gaussian", NON_LOCAL, (3, 8, 32, 32)),
    "slowonly": ("slowonly_r50", {}, (3, 4, 32, 32)),
    "slowonly non-local": ("slowonly_r50_nl_embedded_gaussian", NON_LOCAL, (3, 4, 32, 32)),
    "slowonly omnisource": ("slowonly_r50_omnisource", {}, (3, 4, 32, 32)),
    "csn preserved": ("ipcsn_r50", {}, (3, 8, 32, 32)),
    "csn reduced": ("ircsn_r50", {}, (3, 8, 32, 32)),
    "r2plus1d": ("r2plus1d_r50", {}, (3, 8, 32, 32)),
    "r2plus1d of torchvision": ("r2plus1d_18", {}, (3, 4, 32, 32)),
    "r3d": ("r3d_18", {}, (3, 4, 32, 32)),
    "mc3": ("mc3_18", {}, (3, 4, 32, 32)),
    "slowfast": ("slowfast_r50", {}, (3, 8, 32, 32)),
    "s3d": ("s3d", {}, (3, 16, 32, 32)),
    "x3d": ("x3d_xs", {"depth": 0.5}, (3, 4, 64, 64)),
    "tsn": ("tsn", {"backbone": "test_resnet"}, (3, 2, 32, 32)),
    "tsn on tokens": ("tsn", {"backbone": "test_vit"}, (3, 2, 160, 160)),
    "tsn on windows": ("tsn", {"backbone": "test_maxvit"}, (3, 2, 160, 160)),
    "tsm": ("tsm", {"backbone": "test_resnet"}, (3, 8, 32, 32)),
    "tsm non-local": ("tsm_r50_nl_gaussian", {"backbone": "resnet14t"}, (3, 8, 32, 32)),
    "tin": ("tin_r50", {"backbone": "resnet14t"}, (3, 8, 32, 32)),
    "tanet": ("tanet_r50", {"backbone": "resnet14t"}, (3, 8, 32, 32)),
    "trn": ("trn_r50", {"backbone": "test_resnet"}, (3, 8, 32, 32)),
    "trn of one scale": ("trn_single_r50", {"backbone": "test_resnet"}, (3, 8, 32, 32)),
    "tpn": ("tpn_slowonly_r50", {}, (3, 8, 64, 64)),
    "timesformer divided": ("timesformer_base_divided", VIT, (3, 8, 32, 32)),
    "timesformer joint": ("timesformer_base_joint", VIT, (3, 8, 32, 32)),
    "timesformer space": ("timesformer_base_space", VIT, (3, 8, 32, 32)),
    "vit3d": ("vit3d_small", VIT, (3, 16, 32, 32)),
    "vivit": ("vivit_base", VIT, (3, 32, 32, 32)),
    "vjepa2": ("vjepa2_large", VIT | {"probe_depth": 1, "probe_heads": 2}, (3, 16, 32, 32)),
    "uniformer": ("uniformer_small", {"depths": (1, 1, 1, 1), "img_size": 64}, (3, 16, 64, 64)),
    "uniformerv2": ("uniformerv2_base", VIT | {"depth": 4}, (3, 8, 32, 32)),
    "mvit": ("mvit_v1_base", {"depth": 4, "img_size": 64}, (3, 16, 64, 64)),
    "mvitv2": ("mvit_v2_small", {"depth": 4, "img_size": 64}, (3, 16, 64, 64)),
    "video swin": ("swin3d_tiny", {"depths": (2, 1, 1, 1), "dim": 32, "window": (2, 4, 4)}, (3, 8, 40, 40)),
    "st-gcn": ("stgcn", GRAPH, SKELETONS),
    "st-gcn++": ("stgcnpp", GRAPH, SKELETONS),
    "2s-agcn": ("agcn", GRAPH, SKELETONS),
    "ctr-gcn": ("ctrgcn", {"depths": (1, 1, 1), "width": 16}, SKELETONS),
    "ms-g3d": ("msg3d", {"width": 12}, SKELETONS),
    "posec3d": ("posec3d_slowonly_r50", {"depths": (1, 1, 1)}, (17, 8, 32, 32)),
    "posec3d c3d": ("posec3d_c3d", {}, (17, 8, 32, 32)),
    "posec3d x3d": ("posec3d_x3d", {"depths": (1, 1, 1)}, (17, 8, 32, 32)),
    "audio": ("tsn_r18_audio", {"backbone": "test_resnet"}, (1, 64, 80)),
    "bmn": ("bmn", {"num_steps": 10, "num_samples": 4, "hidden_dims": (8, 8, 8), "feature_dim": 8}, (8, 10)),
    "bsn tem": ("bsn_tem", {"feature_dim": 8, "hidden_dim": 8}, (8, 100)),
    "bsn pem": ("bsn_pem", {}, (32,)),
    "ssn": ("ssn_r50", {"backbone": "test_resnet"}, (3, 9, 32, 32)),
    "actionformer": ("actionformer", {"dim": 16, "feature_dim": 8, "depths": (1, 1, 5)}, (8, 64)),
    "tridet": ("tridet", {"dim": 32, "hidden": 24, "feature_dim": 8, "depths": (1, 1, 5)}, (8, 64)),
    "slowonly with boxes": ("slowonly_r50_ava", {}, (3, 4, 64, 64)),
    "slowfast with boxes and context": ("slowfast_r50_context_ava", {}, (3, 8, 64, 64)),
    "slowfast acrn": ("slowfast_r50_acrn_ava", {}, (3, 8, 64, 64)),
    "lfb max": ("slowonly_r50_lfb_max_ava", {}, (3, 4, 64, 64)),
    "lfb non-local": ("slowonly_r50_lfb_nl_ava", {}, (3, 4, 64, 64)),
    "vit3d with boxes": (
        "vit3d_base_ava",
        {"sizes": {"dim": 48, "depth": 1, "num_heads": 2}, "img_size": 64},
        (3, 16, 64, 64),
    ),
}


QUICK = ("slowonly", "tsm", "vit3d", "uniformer", "st-gcn++", "i3d non-local gaussian", "bmn", "slowonly with boxes")
FAMILIES = [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in NETWORKS]


@pytest.fixture
def shallow(monkeypatch):
    """ResNets of one block a stage."""
    for depth in (18, 34, 50):
        monkeypatch.setitem(LAYERS, depth, (1, 1, 1, 1))


@pytest.mark.usefixtures("shallow")
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("suffix", [".pt2", ".onnx"])
def test_any_batch_gives_the_network_s_outputs(family, suffix, tmp_path):
    name, arguments, view = NETWORKS[family]
    torch.manual_seed(0)
    model = vidhub.create_model(name, **arguments)
    assert vidhub.export(model, example_inputs(model, 1, view), tmp_path / f"a{suffix}").is_file()


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


@pytest.mark.parametrize("network", [Baked(), Branching()])
def test_what_cannot_be_exported_is_one_sentence(network, tmp_path):
    with pytest.raises(InputError, match=f"{type(network).__name__} cannot be exported as"):
        vidhub.export(network, torch.randn(2, 3), tmp_path / "a.pt2")
    assert not list(tmp_path.iterdir())


def test_another_suffix_and_missing_packages(small, tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"\.onnx or \.pt2"):
        vidhub.export(small, example_inputs(small), tmp_path / "a.pt")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(VidhubError, match=r"vidhub\[export\]"):
        vidhub.export(small, example_inputs(small), tmp_path / "a.onnx")


class Nothing(nn.Module):
    def forward(self, x):
        return x * 0


def test_outputs_may_be_all_zero(tmp_path):
    assert vidhub.export(Nothing(), torch.randn(2, 3), tmp_path / "a.pt2").is_file()


def test_feature_maps_are_exported_one_by_one(tmp_path):
    model = vidhub.create_model("x3d_xs", depth=0.5, features_only=True)
    path = vidhub.export(model, torch.randn(1, 3, 4, 32, 32), tmp_path / "a.onnx")
    names = [x.name for x in ort.InferenceSession(path).get_outputs()]
    assert names == [f"features{i}" for i in range(len(model(torch.randn(1, 3, 4, 32, 32))))]


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
