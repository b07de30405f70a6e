"""The tables of published checkpoints say what is true of them."""

import re

import pytest

import vidhub
from vidhub.errors import UnknownNameError
from vidhub.models._index import MODULE_OF
from vidhub.weights.tables import EMBEDDED, WEIGHTS
from vidhub.weights.types import DataConfig, read_labels

ALL = pytest.mark.parametrize("weights", WEIGHTS.values(), ids=WEIGHTS.keys())


@ALL
def test_entry(weights):
    assert weights.arch in MODULE_OF
    assert re.fullmatch(r"[a-z0-9_]+", weights.tag)
    if weights.labels is not None:
        assert len(weights.labels) == weights.num_classes
        assert weights.num_classes - len(set(weights.labels)) <= 1  # FineGYM's own list has two classes of one name
    assert re.fullmatch(r"([0-9a-f]{8}|[0-9a-f]{64})?", weights.sha256)
    assert weights.license
    assert weights.paper.startswith("https://")
    assert weights.sources[-1] == weights.url
    assert all(0 < value <= 100 for value in weights.metrics.values())  # of a few none are published
    assert weights.metrics.get("top1", 0) <= weights.metrics.get("top5", 100)
    assert all(n >= 1 for n in weights.data_config.view_shape)


@pytest.mark.parametrize(
    "weights", [w for w in WEIGHTS.values() if isinstance(w.data_config, DataConfig)], ids=lambda w: w.name
)
def test_clips_fit(weights):
    config = weights.data_config
    assert config.stride >= 1
    resize = config.resize if isinstance(config.resize, int) else min(config.resize)
    assert resize >= max(config.size, config.test_size or 0)


def test_the_default_weights_need_no_arguments():
    for arch in {w.arch for w in WEIGHTS.values()}:
        assert vidhub.get_weights(arch).kwargs == {}


def test_no_address_twice():
    urls = [w.url for w in WEIGHTS.values()]
    assert len(set(urls)) == len(urls)


def test_a_hash_in_the_address_is_the_hash_in_the_entry():
    for weights in WEIGHTS.values():
        if found := re.search(r"[_-]([0-9a-f]{8})\.pth$", weights.url):
            assert weights.sha256 == found[1]


def test_get_weights():
    assert vidhub.get_weights("slowfast_r50").name == "slowfast_r50.mm_k400_8x8"
    assert vidhub.get_weights("slowfast_r50.ptv_k400_8x8").kwargs["slow_sampling"] == "linspace"
    with pytest.raises(UnknownNameError, match="did you mean 'slowfast_r50'"):
        vidhub.get_weights("slowfastr50")


def test_list_pretrained():
    assert "slowfast_r50.mm_k400_8x8" in vidhub.list_pretrained("*k400*")
    assert vidhub.list_pretrained("slowonly_r50.*k700*") == [
        "slowonly_r50.mm_in1k_k700_4x16",
        "slowonly_r50.mm_in1k_k700_8x8",
    ]


def test_list_models():
    assert vidhub.list_models("slowfast*", task="recognition") == ["slowfast_r101", "slowfast_r101_r50", "slowfast_r50"]
    assert "ipcsn_r50" in vidhub.list_models()
    assert "ipcsn_r50" not in vidhub.list_models(pretrained=True)
    assert vidhub.list_models(task="recognition", commercial_use=True)


def test_labels_are_those_of_torchvision():
    from torchvision.models.video import R3D_18_Weights

    assert list(read_labels("kinetics400")) == R3D_18_Weights.DEFAULT.meta["categories"]


def test_torchvision_entries_say_what_torchvision_says():
    from torchvision.models import video

    for arch, name in (("r3d_18", "R3D_18"), ("mc3_18", "MC3_18"), ("r2plus1d_18", "R2Plus1D_18"), ("s3d", "S3D")):
        theirs, ours = getattr(video, f"{name}_Weights").DEFAULT, vidhub.get_weights(arch)
        assert ours.url == theirs.url
        assert ours.num_params == theirs.meta["num_params"]
        accuracy = theirs.meta["_metrics"]["Kinetics-400"]
        assert ours.metrics == {"top1": accuracy["acc@1"], "top5": accuracy["acc@5"]}
        preset = theirs.transforms()
        assert ours.data_config.mean == tuple(preset.mean)
        assert ours.data_config.std == tuple(preset.std)
        assert list(ours.data_config.resize) == list(preset.resize_size)
        assert [ours.data_config.size] * 2 == list(preset.crop_size)


def test_the_embedded_default_needs_no_network(monkeypatch):
    monkeypatch.setenv("VIDHUB_OFFLINE", "1")
    model = vidhub.create_model(EMBEDDED, pretrained=True)
    assert model.labels == vidhub.get_weights(EMBEDDED).labels
    assert vidhub.get_weights(EMBEDDED).url.startswith("package:")
