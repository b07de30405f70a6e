"""What every registered network promises."""

import copy
import inspect
from dataclasses import replace

import pytest
import torch

import vidhub
from vidhub.errors import InputError, UnknownNameError, WeightsError
from vidhub.models._checkpoint import load_state_dict
from vidhub.models._features import FeatureExtractor
from vidhub.models._index import MODULES
from vidhub.models._registry import entry_point
from vidhub.weights import resolve
from vidhub.weights.tables import WEIGHTS
from vidhub.weights.types import DataConfig, SkeletonConfig

NAMES = vidhub.list_models(task="recognition") + vidhub.list_models(task="skeleton")


def tiny_clip(model, batch=1):
    """The smallest clip, or skeletons, that every stage leaves something of."""
    frames, side = model.fixed_frames or max(model.min_frames, 2), model.fixed_size or 64
    shape = (model.in_chans, frames, side, side)
    if isinstance(config := model.data_config, SkeletonConfig) and config.kind == "coordinates":
        shape = replace(config, num_frames=8).view_shape
    return torch.randn(batch, *shape, generator=torch.Generator().manual_seed(0))


def light_arguments(name):
    """Few and thin blocks for the transformers that have many weights, so that their tests take seconds."""
    with torch.device("meta"):
        model = entry_point(name)()
    light = {"depth": 4, "depths": (1, 1, 1, 1), "dim": 48, "num_heads": 2, "probe_heads": 2, "probe_depth": 1}
    heavy = sum(p.numel() for p in model.parameters()) > 20e6
    known = inspect.signature(type(model)).parameters
    return {key: value for key, value in light.items() if key in known} if heavy and "drop_path_rate" in known else {}


@pytest.fixture(scope="module", params=NAMES)
def model(request):
    torch.manual_seed(0)
    return vidhub.create_model(request.param, num_classes=5, **light_arguments(request.param))


def test_every_listed_model_is_defined_where_it_says():
    for module, (_, names) in MODULES.items():
        for name in names:
            assert entry_point(name).__module__ == f"vidhub.models.{module}"
            assert "->" in entry_point(name).__doc__


@pytest.mark.parametrize("name", sorted(WEIGHTS))
def test_published_parameter_count(name):
    weights = WEIGHTS[name]
    with torch.device("meta"):
        model = entry_point(weights.arch)(**weights.arguments)
    assert sum(p.numel() for p in model.parameters()) == weights.num_params


def test_attributes(model):
    assert model.config["num_classes"] == model.num_classes == 5
    assert model.data_config.num_frames == (model.fixed_frames or max(model.data_config.num_frames, model.min_frames))
    if isinstance(model.data_config, DataConfig):
        assert len(model.data_config.mean) == len(model.data_config.std) == model.in_chans
    else:
        assert model.in_chans in model.data_config.view_shape
    assert model.labels is None
    assert not model.training


def test_forward_is_the_head_of_the_features(model):
    x = tiny_clip(model)
    with torch.inference_mode():
        logits = model(x)
        features = model.forward_features(x)
        assert logits.shape == (1, 5)
        torch.testing.assert_close(model.forward_head(features), logits)
        pooled = model.forward_head(features, pre_logits=True)
        assert pooled.shape == (1, model.num_features) == (1, model.get_classifier().in_features)


def test_feature_maps_are_as_described(model):
    x = tiny_clip(model)
    with torch.inference_mode():
        _, maps = model.forward_intermediates(x)
    assert len(maps) == len(model.stages) == len(model.feature_info)
    for info, stage_maps in zip(model.feature_info, maps, strict=True):
        several = isinstance(stage_maps, tuple)
        channels = info["num_chs"] if several else [info["num_chs"]]
        assert [m.shape[1] for m in (stage_maps if several else [stage_maps])] == list(channels)
        finest = stage_maps[-1] if several else stage_maps
        time, space = info["reduction"]
        assert finest.shape[2] == pytest.approx(x.shape[2] / time, abs=1)
        assert finest.shape[3] == pytest.approx(x.shape[3] / space, abs=1)


def test_gradients_reach_every_parameter_and_checkpointing_changes_none(model):
    x = tiny_clip(model, batch=2)
    dropout = [m for m in model.modules() if isinstance(m, torch.nn.Dropout)]
    rates = [m.p for m in dropout]
    model.train()
    for m in dropout:
        m.p = 0.0
    try:
        gradients = []
        for checkpointing in (False, True):
            model.set_grad_checkpointing(checkpointing)
            model.zero_grad()
            torch.manual_seed(0)
            model(x).square().sum().backward()
            gradients.append({n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None})
    finally:
        model.set_grad_checkpointing(False)
        model.zero_grad()
        for m, rate in zip(dropout, rates, strict=True):
            m.p = rate
        model.eval()
    without = {n for n, _ in model.named_parameters()} - gradients[0].keys()
    assert all(n.startswith(model.training_only) for n in without)
    for name in gradients[0]:
        torch.testing.assert_close(gradients[0][name], gradients[1][name], rtol=1e-3, atol=1e-3)


def test_wrong_input_is_one_sentence(model):
    with pytest.raises(InputError, match=r"expected \w+ of shape"):
        model(torch.zeros(1, model.in_chans + 1, 16, 64, 64))
    with pytest.raises(InputError, match=r"expected \w+ of shape"):
        model(torch.zeros(model.in_chans, 16, 64, 64))


def test_own_state_dict_loads_back(model, tmp_path):
    from safetensors.torch import save_file

    save_file(model.state_dict(), tmp_path / "model.safetensors")
    other = vidhub.create_model(model.arch, checkpoint_path=tmp_path / "model.safetensors", **model.config)
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True))


@pytest.fixture
def tiny_vit(tmp_path):
    """A vision transformer's arguments, and a file of its weights of 400 classes."""
    small = {"dim": 12, "depth": 1, "num_heads": 2}
    torch.save(vidhub.create_model("vit3d_base", **small).state_dict(), tmp_path / "mine.pth")
    return small, tmp_path / "mine.pth"


def test_a_file_of_ones_own_brings_no_class_names(tiny_vit):
    small, path = tiny_vit
    model = vidhub.create_model("vit3d_base", checkpoint_path=path, **small)
    assert model.num_classes == 400
    assert model.labels is model.weights is None


def test_a_file_under_a_tag_is_that_of_the_tag(tiny_vit, caplog, monkeypatch):
    monkeypatch.setattr(resolve, "_told", set())
    small, path = tiny_vit
    weights = vidhub.get_weights("vit3d_base.hf_videomae_k400_16x4")
    model = vidhub.create_model(weights.name, checkpoint_path=path, **small)
    assert model.weights == weights
    assert model.labels == weights.labels
    assert [m for m in caplog.messages if "no commercial use" in m]


@pytest.mark.parametrize("num_classes", [3, 0])
def test_a_file_of_other_classes_than_asked_for(tiny_vit, num_classes, caplog):
    small, path = tiny_vit
    model = vidhub.create_model("vit3d_base", checkpoint_path=path, num_classes=num_classes, **small)
    assert model.num_classes == num_classes
    assert torch.equal(model.patch_embed.weight, torch.load(path)["patch_embed.weight"])
    assert ["new and untrained" in m for m in caplog.messages] == [True] * (num_classes > 0)
    with pytest.raises(WeightsError, match="the checkpoint has 400 classes and the model 3"):
        vidhub.load_checkpoint(vidhub.create_model("vit3d_base", num_classes=3, **small), path)


@pytest.mark.parametrize("name", vidhub.list_models())
def test_a_new_classifier_is_like_the_rest_of_the_network(name):
    with torch.device("meta"):
        model = entry_point(name)().to(torch.bfloat16)
    if not hasattr(model, "get_classifier"):
        pytest.skip("knows no classes")
    model.reset_classifier(3)
    assert {p.device.type for p in model.parameters()} == {"meta"}
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}


@pytest.mark.parametrize("name", vidhub.list_models())
@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")  # a localizer of no classes
def test_weights_load_into_another_number_of_classes(name):
    with torch.device("meta"):
        trained = entry_point(name)()
        if not hasattr(trained, "get_classifier"):
            pytest.skip("knows no classes")
        for num_classes in (trained.num_classes + 2, 0):
            other = entry_point(name)(num_classes=num_classes)
            load_state_dict(other, trained.state_dict(), new_classifier=True)


def test_parameter_groups_cover_the_depth(model):
    from timm.optim import param_groups_layer_decay

    groups = param_groups_layer_decay(model, weight_decay=0.05, layer_decay=0.5)
    scales = {g["lr_scale"] for g in groups}
    assert 1.0 in scales
    assert len(scales) > 4
    assert sum(len(g["params"]) for g in groups) == len(list(model.parameters()))


def test_reset_classifier():
    model = vidhub.create_model("x3d_xs", num_classes=3)
    x = tiny_clip(model)
    model.reset_classifier(7)
    assert model(x).shape == (1, 7)
    model.reset_classifier(0)
    assert model(x).shape == (1, 2048)


def test_omnisource_names_images_too():
    with torch.device("meta"):
        model = vidhub.create_model("slowonly_r50_omnisource")
        features = model.forward_features(torch.zeros(2, 3, 1, 64, 64))
        assert model.head.forward_image(features).shape == (2, 1000)


def test_features_only():
    model = vidhub.create_model("slowonly_r50", features_only=True, out_indices=[-2, -1])
    maps = model(torch.zeros(1, 3, 4, 64, 64))
    assert [m.shape for m in maps] == [(1, 1024, 4, 4, 4), (1, 2048, 4, 2, 2)]
    assert [info["num_chs"] for info in model.feature_info] == [1024, 2048]


def test_feature_maps_are_those_of_the_whole_network(model):
    x = tiny_clip(model)
    for wanted in ([0], [-2, -1]):
        part = FeatureExtractor(copy.deepcopy(model), wanted)
        assert [name for name, _ in part.named_parameters() if ".head." in name] == []
        with torch.inference_mode():
            maps, expected = part(x), model.forward_intermediates(x, indices=wanted)[1]
        torch.testing.assert_close(maps, expected)
    assert sum(p.numel() for p in FeatureExtractor(copy.deepcopy(model), [0]).parameters()) < 0.9 * sum(
        p.numel() for p in model.parameters()
    )


@pytest.mark.parametrize(
    ("indices", "reason"),
    [
        ([5], "out of range"),
        ([-6], "out of range"),
        ([3, 1, -2], "twice"),
        (6, "the last 6"),
        (-1, "last -1"),
        ([], "no"),
    ],
)
def test_wrong_stages(indices, reason):
    with torch.device("meta"), pytest.raises(InputError, match=reason):
        vidhub.create_model("slowonly_r50", features_only=True, out_indices=indices)


def test_the_last_stages_by_their_number():
    with torch.device("meta"):
        model = vidhub.create_model("slowonly_r50", features_only=True, out_indices=2)
        assert [info["module"] for info in model.feature_info] == ["layer3", "layer4"]
        with pytest.raises(InputError, match="the last 9"):
            vidhub.create_model("slowonly_r50").forward_intermediates(torch.zeros(1, 3, 4, 64, 64), indices=9)


def test_unknown_names_get_near_ones():
    with pytest.raises(UnknownNameError, match="slowfast_r50"):
        vidhub.create_model("slowfast_r5")
    with pytest.raises(UnknownNameError, match="mm_k400_8x8"):
        vidhub.create_model("slowfast_r50.mm_k400_8x9")
    with pytest.raises(UnknownNameError, match="recognition"):
        vidhub.list_models(task="recogntion")


def test_unknown_argument_is_named():
    with pytest.raises(InputError, match="wdith"):
        vidhub.create_model("x3d_xs", wdith=2)


@pytest.mark.parametrize(
    ("name", "argument", "value"),
    [
        ("slowfast_r50", "slow_sampling", "strid"),
        ("slowfast_r50", "depths", (50, 26)),
        ("slowonly_r50", "depth", 26),
        ("ircsn_r50", "interaction", "preservd"),
        ("i3d_r50_nl_gaussian", "non_local_mode", "gauss"),
        ("mvit_v2_small", "version", 3),
        ("vit3d_small", "pool", "cls"),
        ("vit3d_small", "bias", "none"),
        ("vit3d_small", "gelu", "relu"),
        ("vit3d_small", "positions", "rotary"),
        ("slowonly_r50_ava", "time_pool", "avg"),
        ("stgcn", "learned", "importanc"),
        ("stgcn", "strategy", "spatal"),
    ],
)
def test_unknown_options_are_named(name, argument, value):
    with torch.device("meta"), pytest.raises(UnknownNameError, match=r"unknown .*(did you mean|it is one of)"):
        vidhub.create_model(name, **{argument: value})


def test_bottlenecks_own_options_are_refused_by_basic_blocks():
    for option in ({"inflate": (1, 1, 1, 1)}, {"non_local": ((), (0,), (), ())}):
        with pytest.raises(InputError, match="for bottlenecks"):
            vidhub.create_model("r3d_18", **option)


def test_no_published_weights():
    with pytest.raises(WeightsError, match="no weights are published"):
        vidhub.create_model("ipcsn_r50", pretrained=True)


def test_a_tag_brings_its_own_arguments():
    model = vidhub.create_model("slowfast_r50.mm_k400_4x16", num_classes=3)
    assert model.config == {"alpha": 8, "fusion_kernel": 5, "num_classes": 3}
    assert vidhub.create_model(model.arch, **model.config).stem.alpha == 8


@pytest.mark.parametrize("frames", [31, 33])
def test_slowfast_on_clips_that_are_no_multiple_of_alpha(frames):
    with torch.device("meta"):
        clip = torch.zeros(1, 3, frames, 64, 64)
        assert vidhub.create_model("slowfast_r50")(clip).shape == (1, 400)
        with pytest.raises(InputError, match=f"a multiple of 4 frames, got {frames}"):
            vidhub.create_model("slowfast_r50", slow_sampling="linspace")(clip)


def test_c2d_r101_is_meant_for_8_frames():
    with torch.device("meta"):
        assert vidhub.create_model("c2d_r101").data_config.num_frames == 8


def test_i3d_needs_enough_frames():
    with pytest.raises(InputError, match="at least 5 frames"):
        vidhub.create_model("i3d_r50")(torch.zeros(1, 3, 4, 64, 64))


def test_the_fast_form_gives_the_same(request, model):
    x = tiny_clip(model)
    if "mobileone" in request.node.name:
        x *= 1e-6  # random weights let its features grow until rounding alone opens or shuts its gates
    fast = vidhub.optimize(model, x, channels_last=True)
    with torch.inference_mode():
        logits = fast(tiny_clip(model, batch=2))
    assert logits.shape == (2, 5)
