"""What every localization network on features promises, and that it learns."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

import vidhub
from vidhub.datasets.features import FeatureDataset, collate_features
from vidhub.datasets.records import SegmentsRecord
from vidhub.engine.localization import find_segments, predict_segments, score_segments, segment_loss, segments_of
from vidhub.engine.segment_losses import tem_loss
from vidhub.errors import InputError, VidhubError, in_one_line
from vidhub.models._checkpoint import load_state_dict
from vidhub.transforms.localization import tem_labels

CHANNELS, CLASSES = 6, ("wave", "jump")
SMALL = {
    "bmn": {"num_steps": 20, "num_samples": 4, "hidden_dims": (16, 16, 8), "feature_dim": 8},
    "bsn_tem": {"num_steps": 20, "hidden_dim": 16, "feature_dim": 8},
    "actionformer": {"dim": 16, "num_classes": 2, "feature_dim": CHANNELS},
    "tridet": {"dim": 32, "hidden": 24, "num_classes": 2, "feature_dim": CHANNELS},
}


@pytest.fixture(params=sorted(SMALL))
def model(request):
    torch.manual_seed(0)
    return vidhub.create_model(request.param, **SMALL[request.param])


@pytest.fixture
def data(tmp_path):
    """Four videos in which a channel is high while its class happens."""
    g, records = np.random.default_rng(0), []
    for i in range(4):
        features = g.normal(0, 0.1, (40, CHANNELS)).astype(np.float32)
        features[5 + i : 15 + i, 0] += 2
        features[20 + i : 32 + i, 1] += 2
        np.save(tmp_path / f"{i}.npy", features)
        segments = np.array([(5.0 + i, 15 + i), (20 + i, 32 + i)])
        records.append(SegmentsRecord(str(i), str(tmp_path / f"{i}.npy"), 40.0, segments, CLASSES))
    return records


def test_configuration_follows_the_features(model):
    assert model.data_config.feature_dim == model.feature_dim
    assert not model.training
    with pytest.raises(InputError, match="expected features of shape"):
        model(torch.zeros(1, model.feature_dim + 1, 20))


def test_saved_and_loaded_again(model, tmp_path):
    vidhub.save_checkpoint(model, tmp_path / "saved")
    other = vidhub.create_model(f"local-dir:{tmp_path / 'saved'}")
    assert other.data_config == model.data_config
    x = torch.randn(1, model.feature_dim, 20)
    with torch.inference_mode():
        for a, b in zip(model(x), other(x), strict=True):
            torch.testing.assert_close(a, b)


def test_gradients_reach_every_parameter(model, data):
    config = model.data_config
    if config.feature_dim != CHANNELS:
        for record in data:
            np.save(record.path, np.pad(np.load(record.path), ((0, 0), (0, config.feature_dim - CHANNELS))))
    samples = FeatureDataset(data, config, CLASSES)
    batch = collate_features([samples[0], samples[1]])
    segment_loss(model.train(), batch).backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []
    found = segments_of(model.eval(), samples.features(0), 40.0)
    assert ((found.segments >= 0) & (found.segments <= 40)).all()
    assert (np.diff(found.scores) <= 0).all()


@pytest.mark.parametrize("steps", [32, 37, 1])
@pytest.mark.parametrize("name", ["actionformer", "tridet"])
def test_steps_after_the_end_change_nothing(name, steps):
    """Whatever the network has learnt: every parameter is a random one."""
    torch.manual_seed(0)
    model = vidhub.create_model(name, **SMALL[name])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    x, mask = torch.randn(1, CHANNELS, 64), torch.ones(1, 64, dtype=torch.bool)
    mask[:, steps:] = False
    with torch.inference_mode():
        whole, part = model(x, mask), model(x[..., :steps])
    torch.testing.assert_close(whole.logits[whole.mask], part.logits[part.mask], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(whole.offsets[whole.mask], part.offsets[part.mask], atol=1e-4, rtol=1e-4)
    assert whole.mask.sum() == part.mask.sum()


@pytest.mark.parametrize("name", ["actionformer", "tridet"])
def test_convolutions_start_without_biases_but_for_the_classifiers(name):
    model = vidhub.create_model(name, **SMALL[name])
    biased = {n for n, m in model.named_modules() if isinstance(m, torch.nn.Conv1d) and m.bias is not None}
    biased = {n for n in biased if model.get_submodule(n).bias.any()}
    own = {"head.out"} if name == "actionformer" else {f"classifier.{n}.out" for n in ("classes", "start", "end")}
    assert biased == own


def test_tridet_starts_as_published():
    model = vidhub.create_model("tridet", **SMALL["tridet"])
    scaled = [(block.scale1 is not None, block.drop_path.drop_prob > 0) for block in model.blocks]
    assert scaled == [(False, False)] * 2 + [(True, True)] * 5
    assert not any(p.any() for block in model.blocks for p in block.sgp.parameters())
    levels, masks = [torch.randn(1, 32, 8)] * 6, [torch.ones(1, 1, 8, dtype=torch.bool)] * 6
    assert min(level.min() for level in model.center(levels, masks)) == 0


def test_tridet_adds_noise_in_training_alone():
    model = vidhub.create_model("tridet", **SMALL["tridet"], drop_path=0.0, input_noise=0.1)
    x = torch.randn(1, CHANNELS, 20)
    with torch.no_grad():
        assert torch.equal(model(x).logits, model(x).logits)
        model.train()
        assert not torch.equal(model(x).logits, model(x).logits)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("actionformer", {"depths": (2, 2, 4)}, "make 5 levels, but there are 6 ranges"),
        ("tridet", {"depths": (1, 1, 6)}, "make 7 levels, but there are 6 ranges"),
        ("actionformer", {"dim": 30}, "a multiple of the 4 heads, not 30"),
        ("tridet", {"dim": 30}, "a multiple of 16, not 30"),
    ],
)
def test_sizes_that_do_not_fit_are_told(name, arguments, message):
    with pytest.raises(InputError, match=message):
        vidhub.create_model(name, **arguments)


def test_features_without_a_step_are_refused(model):
    with pytest.raises(InputError, match="expected features of shape"):
        model(torch.zeros(1, model.feature_dim, 0))


def test_labels_of_bsn_are_those_of_each_videos_own_steps(data):
    """Videos of 40 and of 25 steps in a batch count as if they were one after the other."""
    np.save(data[1].path, np.load(data[1].path)[:25])
    model = vidhub.create_model("bsn_tem", num_steps=None, feature_dim=CHANNELS, hidden_dim=8)
    samples = FeatureDataset(data, model.data_config, CLASSES)
    labels = [tem_labels(samples[i].fractions, steps) for i, steps in ((0, 40), (1, 25))]
    scores = [model(samples[i].features[None]) for i in (0, 1)]
    wanted = tem_loss(torch.cat(scores, 2), torch.from_numpy(np.concatenate(labels, 1)[None]))["loss"]
    found = segment_loss(model, collate_features([samples[0], samples[1]]))
    torch.testing.assert_close(found, wanted)


def test_bsn_divides_videos_into_as_many_steps_as_bmn():
    assert vidhub.create_model("bsn_tem").num_steps == vidhub.create_model("bmn").num_steps == 100


@pytest.mark.parametrize("name", ["actionformer", "tridet"])
def test_it_learns(name, data):
    torch.manual_seed(0)
    model = vidhub.create_model(name, **SMALL[name], drop_path=0.0)
    samples = FeatureDataset(data, model.data_config, CLASSES)
    model.num_positive.fill_(20)
    optimizer = torch.optim.AdamW(model.train().parameters(), lr=5e-3)
    batch = collate_features([samples[i] for i in range(4)])
    for _ in range(60):
        optimizer.zero_grad()
        segment_loss(model, batch).backward()
        optimizer.step()
    assert score_segments(samples, find_segments(model, samples))["mAP"] > 80


def test_a_new_classifier(model):
    if not hasattr(model, "reset_classifier"):
        pytest.skip("the network knows no classes")
    other = vidhub.create_model(model.arch, **{**SMALL[model.arch], "num_classes": 5})
    load_state_dict(other, model.state_dict(), new_classifier=True)
    model.reset_classifier(5)
    assert model(torch.randn(1, CHANNELS, 20)).logits.shape[-1] == 5


def test_features_of_another_width_are_named(data):
    model = vidhub.create_model("actionformer", dim=16, feature_dim=4)
    with pytest.raises(InputError, match="feature_dim=6"):
        FeatureDataset(data, model.data_config, CLASSES)[0]


def settings(root, out, **more):
    brief = {
        "model_args": {"dim": 8},
        "epochs": 1,
        "batch_size": 2,
        "workers": 2,
        "device": "cpu",
        "tensorboard": False,
    }
    return {"model": "actionformer", "dataset": "segments", "root": str(root), "out": str(out), **brief, **more}


def write_own(root, features, **changes):
    """Four videos of one's own, of which those in ``features`` have some, of so many channels."""
    video = {"duration_second": 10.0, "annotations": [{"segment": [2, 5], "label": "wave"}], **changes}
    (root / "features").mkdir()
    (root / "annotations.json").write_text(json.dumps({str(i): video for i in range(4)}))
    for i, channels in features.items():
        np.save(root / "features" / f"{i}.npy", np.zeros((20, channels), np.float32))


@pytest.mark.parametrize(
    ("features", "changes", "message"),
    [
        ({}, {}, "there is no file of features .*0.npy': make it with vidhub extract"),
        ({1: 6, 2: 6, 3: 6}, {}, "1 of 4 videos have no features, such as .*0.npy': make them with vidhub extract"),
        (dict.fromkeys(range(4), 6), {"duration_second": None}, "does not say how long '0' is; add duration_second"),
        (dict.fromkeys(range(4), 6), {"annotations": []}, "no segment in any of the training videos"),
        ({0: 6, 1: 5, 2: 5, 3: 5}, {}, "have 5 channels, the network takes 6: create it with feature_dim=5.*"),
        (
            dict.fromkeys(range(4), 6),
            {"annotations": [{"segment": [12, 15], "label": "wave"}]},
            "none of the 4 segments of the training videos is inside its video and has a length.*",
        ),
        (
            dict.fromkeys(range(4), 6),
            {"annotations": [{"segment": [2, 2], "label": "wave"}]},
            "none of the 4 segments of the training videos is inside its video and has a length.*",
        ),
    ],
)
def test_what_is_wrong_with_data_of_ones_own_is_told_in_a_sentence(features, changes, message, tmp_path):
    pytest.importorskip("accelerate")
    write_own(tmp_path, features, **changes)
    with pytest.raises(InputError) as told:
        vidhub.train(**settings(tmp_path, tmp_path / "run"), val_split="")
    assert re.fullmatch(f".*{message}.*", in_one_line(told.value))
    assert "Traceback" not in in_one_line(told.value)


def test_predicting_on_features_of_another_network_is_refused(tmp_path):
    model = vidhub.create_model("actionformer", dim=16, feature_dim=4)
    np.save(tmp_path / "a.npy", np.zeros((20, 5), np.float32))
    with pytest.raises(InputError, match="takes features of 4 channels, not of 5"):
        predict_segments(model, tmp_path / "a.npy")
    (tmp_path / "b.npy").write_text("no numbers")
    with pytest.raises(InputError, match="no NumPy file of numbers"):
        predict_segments(model, tmp_path / "b.npy")
    with pytest.raises(InputError, match="finds no segments: train one of"):
        predict_segments(vidhub.create_model("x3d_xs", num_classes=2), tmp_path / "a.npy")


def test_faults_of_the_validation_set_are_found_before_the_training(tmp_path):
    pytest.importorskip("accelerate")
    write_own(tmp_path, dict.fromkeys(range(4), 6), subset="train")
    content = json.loads((tmp_path / "annotations.json").read_text())
    content["3"]["subset"] = "val"
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    np.save(tmp_path / "features" / "3.npy", np.zeros((20, 5), np.float32))
    with pytest.raises(InputError, match=r"3.npy' have 5 channels, the network takes 6"):
        vidhub.train(**settings(tmp_path, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_validation_needs_a_segment(tmp_path):
    pytest.importorskip("accelerate")
    write_own(tmp_path, dict.fromkeys(range(4), 6), subset="train")
    content = json.loads((tmp_path / "annotations.json").read_text())
    content["3"] |= {"subset": "val", "annotations": []}
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="no segment in any of the videos to be measured on"):
        vidhub.train(**settings(tmp_path, tmp_path / "run"))


def test_some_segments_outside_of_their_video_are_told(data, caplog):
    outside = replace(data[0], segments=np.array([(5.0, 15), (50, 60)]))
    model = vidhub.create_model("actionformer", **SMALL["actionformer"])
    samples = FeatureDataset([outside, data[1]], model.data_config, CLASSES)
    samples.check(training=True)
    assert "1 of 4 segments of the training videos are outside of their video" in caplog.text
    assert "'0'" in caplog.text


@pytest.mark.parametrize(
    ("segments", "message"),
    [
        ({"top_q": 3}, "unknown key of segments in a recipe 'top_q'; did you mean 'top_k'"),
        ({"num_steps": 3}, "unknown key of segments in a recipe 'num_steps'"),
        ({"top_k": "many"}, "segments.top_k must be int, not 'many'"),
    ],
)
def test_wrong_changes_of_the_decoding_are_told(tmp_path, segments, message):
    pytest.importorskip("accelerate")
    write_own(tmp_path, dict.fromkeys(range(4), 6))
    with pytest.raises(VidhubError, match=message):
        vidhub.train(**settings(tmp_path, tmp_path / "run"), segments=segments)


def test_a_recipe_changes_the_decoding(tmp_path):
    pytest.importorskip("accelerate")
    write_own(tmp_path, dict.fromkeys(range(4), 6))
    changes = {"feature_stride": 4, "feature_window": 16, "min_score": "1e-4"}
    run = vidhub.train(**settings(tmp_path, tmp_path / "run"), val_split="", segments=changes)
    config = vidhub.create_model(f"local-dir:{run.folder}").data_config
    assert (config.feature_stride, config.feature_window, config.min_score) == (4, 16, 1e-4)
