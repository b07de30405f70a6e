"""Action detection end to end: data with boxes, training, and who does what in a video."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from figures import CLASSES, CONFIG, SIZE, brightest, figures, tiny, write_own
from media import read_number, render
from PIL import Image, ImageDraw
from safetensors.torch import load_file, save_file

import vidhub
from vidhub.cli import main
from vidhub.datasets import boxes, dataset
from vidhub.datasets.boxes import BoxDataset, collate_boxes
from vidhub.datasets.dataset import RecordDataset
from vidhub.datasets.records import BoxesRecord
from vidhub.datasets.video_io import VideoReader
from vidhub.engine import detection, prepare
from vidhub.engine.bank import FeatureBank, write_bank
from vidhub.engine.box_losses import box_loss
from vidhub.engine.box_scores import box_validation
from vidhub.engine.detection import ActionPrediction, BoxOverlay, Linker, action_loss, detect_actions, predict_actions
from vidhub.engine.drawing import draw_video
from vidhub.engine.recipe import Recipe
from vidhub.errors import InputError, UnknownNameError, VideoError, WeightsError
from vidhub.models.roi_detector import RoIDetector


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    return figures(tmp_path_factory.mktemp("figures"), 12)


def test_samples_follow_the_picture(records):
    sample = BoxDataset(records, CONFIG, CLASSES)[0]
    assert sample.clip.shape == (3, 4, SIZE, SIZE)
    assert sample.labels.tolist() == [[0, 1, 0]]
    x1, y1, x2, y2 = sample.boxes[0].round().int().tolist()
    bright = sample.clip[:, 2].mean(0)  # the key frame is the third of four
    assert bright[y1 + 2 : y2 - 2, x1 + 2 : x2 - 2].mean() > bright.mean() + 1

    torch.manual_seed(1)
    for _ in range(6):  # mirrored or not, the figure is in its box
        mirrored = BoxDataset(records, CONFIG, CLASSES, training=True)[0]
        x1, y1, x2, y2 = mirrored.boxes[0].clamp(0, SIZE).round().int().tolist()
        assert mirrored.clip[:, 2].mean(0)[y1 + 4 : y2 - 4, x1 + 4 : x2 - 4].mean() > bright.mean() + 1


def test_training_cuts_out_squares_of_several_sizes(records, monkeypatch):
    shorts = []
    original = boxes.as_clip
    monkeypatch.setattr(boxes, "as_clip", lambda f, c, short, crop: shorts.append(short) or original(f, c, short, crop))
    data = BoxDataset(records, CONFIG, CLASSES, training=True, short_side=(64, 96), crop=48)
    samples = [data[i] for i in range(12)]
    assert {sample.clip.shape[-2:] for sample in samples} == {(48, 48)}
    assert len(set(shorts)) > 3
    assert all(64 <= short <= 96 for short in shorts)
    for sample in samples:
        assert len(sample.boxes) == len(sample.labels) == 1
        assert sample.boxes.min() >= 0
        assert sample.boxes.max() <= 48
    whole = BoxDataset(records, CONFIG, CLASSES, training=True, short_side=(80, 80), crop=0)[0]
    assert whole.clip.shape[-2:] == (80, 80)
    with pytest.raises(InputError, match="crop must be from 0 to the least short side, 64, not 65"):
        BoxDataset(records, CONFIG, CLASSES, crop=65)


def test_boxes_that_are_cut_away_are_left_out(records):
    corner = np.array([[0, 0, 0.02, 0.02], [0.3, 0.3, 0.7, 0.7]], np.float32)
    record = replace(records[0], boxes=corner, labels=((1,), (2,)))
    data = BoxDataset([record], CONFIG, CLASSES, training=True, short_side=(128, 128), crop=64)
    samples = [data[0] for _ in range(8)]
    assert all(sample.labels[-1].tolist() == [0, 0, 1] for sample in samples)
    assert {len(sample.boxes) for sample in samples} >= {1}


@pytest.mark.parametrize("box", [[0.5, 0, 0.1, 1], [np.nan, 0, 1, 1], [10, 10, 50, 50], [1.2, 0, 1.5, 1]])
def test_boxes_that_are_none_are_named(records, box):
    with pytest.raises(InputError, match=r"'0' at 0\.6 has the box .* as fractions of the picture"):
        BoxDataset([replace(records[0], boxes=np.array([box]))], CONFIG, CLASSES)[0]


def test_a_video_that_ends_before_its_key_frame_is_told(records):
    with pytest.raises(VideoError, match=r"0\.mp4': it ends before second 9"):
        BoxDataset([replace(records[0], timestamp=9.0)], CONFIG, CLASSES)[0]


def test_key_frames_are_found_by_the_videos_own_clock(tmp_path):
    times = [40 * i for i in range(50)] + [2000 + 200 * i for i in range(11)]  # 25 a second, then 5
    path = render(tmp_path / "slower.mp4", frames=len(times), pts=times)
    record = BoxesRecord("v", str(path), 3.0, np.array([[0, 0, 1, 1]]), ((0,),))
    shown = BoxDataset([record], replace(CONFIG, num_frames=1), CLASSES, pictures=True)[0].picture
    assert read_number(shown) == times.index(3000)


def test_loader_workers_decode_on_one_thread(records, monkeypatch):
    threads = []
    monkeypatch.setattr(dataset, "get_worker_info", object)
    monkeypatch.setattr(dataset, "VideoReader", lambda path, **kwargs: threads.append(kwargs) or VideoReader(path))
    BoxDataset(records, CONFIG, CLASSES)[0]
    assert threads == [{"threads": 1}]


def test_whole_movies_begin_at_second_0():
    ava = BoxesRecord("a", "a", 902, np.zeros((0, 4)), (), first_second=900.0, last_second=1800.0)
    lasting = {seconds: SimpleNamespace(duration=seconds) for seconds in (880.0, 901.0, 1900.0, 5400.0)}
    assert [boxes.first_second(ava, reader) for reader in lasting.values()] == [900, 900, 0, 0]
    frames = replace(ava, shot=(0, 27000))
    assert boxes.first_second(frames, lasting[5400.0]) == 900


def test_batches_are_padded(records):
    data = BoxDataset(records, CONFIG, CLASSES)
    small = data[1]._replace(clip=data[1].clip[..., :40, :50])
    batch = collate_boxes([data[0], small])
    assert batch["clips"].shape == (2, 3, 4, SIZE, SIZE)
    assert not batch["clips"][1, :, :, 40:].any()
    assert not batch["clips"][1, ..., 50:].any()


def test_unknown_classes_are_named(records):
    with pytest.raises(InputError, match="there are 1"):
        BoxDataset(records, CONFIG, ["square"])[0]


def test_training_reaches_90_percent_map(records):
    model, data = tiny(), BoxDataset(records[:8], CONFIG, CLASSES, training=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    model.train()
    torch.manual_seed(0)
    for step in range(16):
        batch = collate_boxes([data[(4 * step + i) % 8] for i in range(4)])
        loss = action_loss(model, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    scores = box_validation(BoxDataset(records[8:], CONFIG, CLASSES))(model)
    assert scores["mAP"] >= 90


def test_the_loop_takes_boxes(records, tmp_path):
    model = vidhub.create_model("slowonly_r50_ava", num_classes=3, dropout=0.0)
    model.data_config = CONFIG
    train_set, val_set = (
        BoxDataset(records[:2], CONFIG, CLASSES, training=True),
        BoxDataset(records[2:4], CONFIG, CLASSES),
    )
    run = vidhub.train(
        model=model,
        train_set=train_set,
        val_set=val_set,
        out=str(tmp_path),
        epochs=1,
        batch_size=2,
        device="cpu",
        mixup=0.0,
        cutmix=0.0,
        workers=0,
    )
    assert 0 <= run.metrics["mAP"] <= 100
    assert vidhub.create_model(f"local-dir:{tmp_path}").data_config == CONFIG


@pytest.fixture
def own(records, tmp_path):
    """A data set of one's own: four videos to train on, two to measure."""
    return write_own(tmp_path, train=records[:4], val=records[4:6])


def test_recipe_for_boxes_of_ones_own(own, capsys):
    tmp_path, out = own, str(own / "run")
    settings = {"num_frames": 4, "stride": 1, "size": SIZE, "epochs": 1, "batch_size": 2, "workers": 0, "device": "cpu"}
    run = vidhub.train(model="slowonly_r50_ava", dataset="boxes", root=str(tmp_path), out=out, **settings)
    config = vidhub.create_model(f"local-dir:{out}").data_config
    assert (config.activation, config.background, config.size) == ("softmax", False, SIZE)
    assert main(["eval", f"local-dir:{out}", "boxes", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["mAP"] == pytest.approx(run.metrics["mAP"])
    nonsense = {"loss": "nonsense", "mixup": 0.5, "cutmix": 0.5, "smoothing": 0.1, "repeats": 2, "cache": 64}
    for key, value in nonsense.items() | {("balance", True), ("views", "test")}:
        with pytest.raises(InputError, match=f"{key} in the recipe cannot be had with boxes"):
            vidhub.train(model="slowonly_r50_ava", dataset="boxes", root=str(tmp_path), out=out + "2", **{key: value})
    with pytest.raises(UnknownNameError, match="unknown part of augment with boxes 'crops'; did you mean 'crop'"):
        vidhub.train(model="x3d_xs", dataset="boxes", root=str(tmp_path), out=out + "2", augment={"crops": 1})
    args = {"loss_args": {"gama": 1}, **settings}
    with pytest.raises(UnknownNameError, match="unknown part of loss_args with boxes 'gama'; did you mean 'gamma'"):
        vidhub.train(model="slowonly_r50_ava", dataset="boxes", root=str(tmp_path), out=out + "2", **args)
    with pytest.raises(InputError, match="task='detection'"):
        vidhub.train(model="x3d_xs", dataset="boxes", root=str(tmp_path), out=out + "2", **settings)


def test_focal_loss_by_recipe(records):
    batch, model = collate_boxes([BoxDataset(records, CONFIG, CLASSES)[0]]), tiny()
    usual = action_loss(model, batch)
    focal = prepare.box_loss(Recipe(loss_args={"alpha": 3.0, "gamma": 1.0}))(model, batch)
    assert focal != usual
    assert focal == action_loss(model, batch, alpha=3.0, gamma=1.0)


def test_a_network_of_ones_own_is_trained_and_saved(own):
    torch.manual_seed(0)
    model = RoIDetector(vidhub.create_model("x3d_xs", num_classes=0, depth=1.0), 2)
    assert (model.data_config.num_frames, model.data_config.stride, model.data_config.background) == (4, 12, False)
    model.data_config = replace(model.data_config, num_frames=4, stride=1, size=SIZE)
    run = vidhub.train(
        model=model,
        dataset="boxes",
        root=str(own),
        out=str(own / "run"),
        epochs=1,
        batch_size=2,
        workers=0,
        device="cpu",
    )
    again = vidhub.create_model(f"local-dir:{own / 'run'}")
    assert again.data_config == run.model.data_config
    assert again.labels == ("disc", "square")
    found = vidhub.predict(again, str(own / "videos" / "4.mp4"), detector=brightest)
    assert set(found.labels[0]) == {"disc", "square"}


def test_a_network_without_a_background_learns_classes_with_one(records, tmp_path):
    data = RecordDataset(records[:2], classes=CLASSES)
    model = RoIDetector(vidhub.create_model("x3d_xs", num_classes=0, depth=1.0), 2)
    model.data_config = replace(model.data_config, num_frames=4, stride=1, size=SIZE)
    settings = {"epochs": 1, "batch_size": 2, "workers": 0, "device": "cpu", "out": str(tmp_path)}
    run = vidhub.train(model=model, train_set=data, val_set=data, **settings)
    assert not run.model.data_config.background
    assert run.model.labels == ("square", "disc")


def test_a_bank_goes_on_without_what_cannot_be_read(own, capsys):
    vidhub.save_checkpoint(vidhub.create_model("roi_detector", trunk="x3d_xs", num_classes=2), own / "teacher")
    (own / "videos" / "4.mp4").write_bytes(b"no video")
    make = ["bank", f"local-dir:{own / 'teacher'}", "boxes", str(own), "--out", str(own / "bank"), "--split", "val"]
    assert main([*make, "--workers", "0", "--data", "pixels=false"]) == 2
    out, err = capsys.readouterr()
    assert out == f"val: 1 videos written to {own / 'bank'}\n"
    assert "not written" in err
    assert "4.mp4" in err


def test_a_bank_is_made_and_used(own, capsys):
    torch.manual_seed(0)
    teacher = vidhub.create_model("slowonly_r50_ava", num_classes=2)
    teacher.data_config = CONFIG
    vidhub.save_checkpoint(teacher, own / "teacher")
    bank, name = str(own / "bank"), f"local-dir:{own / 'teacher'}"
    make = ["bank", name, "boxes", str(own), "--out", bank, "--workers", "0"]
    assert main(make) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"train: 4 videos written to {bank}"
    last = own / "bank" / "4.mp4.safetensors"
    before = load_file(last)
    last.unlink()
    assert main(make) == 0  # only what is missing is made again
    assert "train: 0 videos" in capsys.readouterr().out
    after = load_file(last)
    assert before.keys() == after.keys() == {"0"}
    assert torch.equal(before["0"], after["0"])

    settings = {"num_frames": 4, "stride": 1, "size": SIZE, "epochs": 1, "batch_size": 2, "workers": 0, "device": "cpu"}
    what = {"model": "slowonly_r50_lfb_max_ava", "dataset": "boxes", "root": str(own), "out": str(own / "run")}
    run = vidhub.train(**what, **settings, bank=bank)
    evaluate = ["eval", f"local-dir:{own / 'run'}", "boxes", str(own), "--json", "--workers", "0"]
    assert main([*evaluate, "--bank", bank]) == 0
    assert json.loads(capsys.readouterr().out)["mAP"] == pytest.approx(run.metrics["mAP"])
    assert main(evaluate) == 2
    assert "make a feature bank" in capsys.readouterr().err
    last.unlink()
    assert main([*evaluate, "--bank", bank]) == 2
    assert "has nothing of '4.mp4'" in capsys.readouterr().err


def test_a_bank_is_of_one_network(own):
    def make(seed):
        torch.manual_seed(seed)
        model = RoIDetector(vidhub.create_model("x3d_xs", num_classes=0, depth=1.0), 2)
        model.data_config = replace(CONFIG, background=False)
        return write_bank(model, "boxes", str(own), own / "bank", "val")

    assert make(0) == (2, [])
    assert make(0) == (0, [])
    with pytest.raises(InputError, match=r"made otherwise \(weights\)"):
        make(1)


def test_a_bank_is_what_happened_in_the_seconds_around(tmp_path):
    seconds = {second: torch.full((2, 3), float(second)) for second in (4, 5, 9)}
    about = {"channels": "3"}
    save_file({str(s): f for s, f in seconds.items()}, tmp_path / "a.safetensors", about)
    bank = FeatureBank(tmp_path, window=4, per_second=3)
    around = bank(BoxesRecord("a", "a.mp4", 5.5, np.zeros((1, 4)), ((0,),)))
    assert around.shape == (3, 12, 1, 1)
    assert around[0, :, 0, 0].tolist() == [0, 0, 0, 4, 4, 0, 5, 5, 0, 0, 0, 0]
    assert not bank(BoxesRecord("a", "a.mp4", 20.0, np.zeros((1, 4)), ((0,),))).any()
    with pytest.raises(InputError, match="has nothing of 'b'"):
        bank(BoxesRecord("b", "b.mp4", 5.0, np.zeros((1, 4)), ((0,),)))


def test_tubes_are_scored_where_frames_are_annotated(records):
    tubes = [
        BoxesRecord(r.video_id, r.path, t, r.boxes, ((c,),), (0,), first_second=1, in_frames=True)
        for r, c in zip(records[:2], (1, 2), strict=True)
        for t in (6, 7, 8)
    ]
    scores = box_validation(BoxDataset(tubes, CONFIG, CLASSES))(tiny())
    # a network without training says much the same of both: each class has one tube right
    assert set(scores) == {"mAP", "video mAP@0.2", "video mAP@0.5"}
    assert scores["video mAP@0.5"] >= 50


@pytest.mark.parametrize(
    ("source", "detector"), [("slowonly_r50", "slowonly_r50_ava"), ("vit3d_base", "vit3d_base_ava")]
)
def test_a_trunk_starts_from_a_recognition_network(source, detector, tmp_path):
    torch.manual_seed(3)
    source = vidhub.create_model(source, num_classes=5)
    vidhub.save_checkpoint(source, tmp_path)
    model = vidhub.create_model(detector, pretrained=f"local-dir:{tmp_path}", num_classes=3)
    known = {key.removeprefix("head."): value for key, value in source.state_dict().items()}
    assert all(torch.equal(value, known[key]) for key, value in model.trunk.state_dict().items())
    with pytest.raises(WeightsError, match="not the recognition network of this detector's trunk"):
        vidhub.create_model("slowfast_r50_ava", pretrained=f"local-dir:{tmp_path}")


def test_any_trunk_starts_from_its_recognition_network(tmp_path):
    source = vidhub.create_model("x3d_xs", num_classes=5)
    vidhub.save_checkpoint(source, tmp_path)
    model = vidhub.create_model("roi_detector", trunk="x3d_xs", pretrained=f"local-dir:{tmp_path}", num_classes=2)
    assert torch.equal(model.trunk.layer4[0].conv1.weight, source.layer4[0].conv1.weight)


def test_frames_count_where_seconds_do_not(records):
    path = records[0].path
    counted = BoxesRecord("0", path, 7, records[0].boxes, ((1,),), first_second=1, in_frames=True)
    by_frame, by_time = (BoxDataset([r], CONFIG, CLASSES)[0].clip for r in (counted, records[0]))
    assert torch.equal(by_frame, by_time)  # frame 7 of 10 a second is at 0.6 seconds


def test_who_does_what_in_a_video(records, tmp_path):
    model = tiny().eval()
    model.labels = CLASSES[1:]
    keys = list(detect_actions(model, records[0].path, brightest, every=0.4))
    assert [key.frame for key in keys] == [2, 6, 10]
    assert {track for key in keys for track in key.tracks} == {0}
    found = vidhub.predict(model, records[0].path, detector=brightest)
    assert set(found.labels[0]) == {"square", "disc"}  # never the background
    assert "person 0" in str(found)

    found = predict_actions(model, records[0].path, detector=brightest, every=0.4)
    target = tmp_path / "drawn.mp4"
    draw_video(records[0].path, target, overlay=BoxOverlay(found))
    with vidhub.VideoReader(str(target)) as drawn, vidhub.VideoReader(records[0].path) as plain:
        assert len(drawn) == len(plain)
        change = (drawn.get_frames([6]).float() - plain.get_frames([6]).float()).abs().mean()
    assert change > 1


def test_key_frames_in_batches_and_other_precision(records):
    model = tiny().eval()
    one, several = (list(detect_actions(model, records[0].path, brightest, every=0.2, batch_size=n)) for n in (1, 4))
    assert [key.frame for key in one] == [key.frame for key in several]
    for a, b in zip(one, several, strict=True):
        np.testing.assert_allclose(a.scores, b.scores, atol=1e-5)
    half = next(detect_actions(model, records[0].path, brightest, dtype="bfloat16"))
    assert np.abs(half.scores - one[0].scores).max() < 0.1


def test_sources_are_named_as_elsewhere(records):
    path = Path(records[0].path)
    assert vidhub.predict(tiny(), path, detector=brightest).source == str(path)
    with vidhub.VideoReader(path) as reader:
        assert vidhub.predict(tiny(), reader, detector=brightest).source == "VideoReader"
        assert reader.get_frames([0]).shape[0] == 1  # still open


def test_one_person_detector_for_all_videos(records, monkeypatch):
    made = []
    monkeypatch.setattr(detection, "FasterRCNN", lambda device: made.append(device) or brightest)
    found = vidhub.predict(tiny(), [record.path for record in records[:3]])
    assert len(found) == 3
    assert len(made) == 1


def test_what_is_not_for_detectors_is_refused(records):
    with pytest.raises(InputError, match="views and poses are not for networks that name what each person does"):
        vidhub.predict(tiny(), records[0].path, detector=brightest, views="test")
    with pytest.raises(InputError, match="detector is for networks that name what each person does"):
        vidhub.predict(vidhub.create_model("x3d_xs"), records[0].path, detector=brightest)


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (None, "not NoneType"),
        ("abc", "not str"),
        ({"boxes": torch.zeros(1, 4)}, "not dict"),
        (np.zeros((2, 3)), r"not shape \(2, 3\)"),
        ([10, 10, 50, 50], r"not shape \(4,\)"),
        ([[np.nan, 0, 1, 1]], "the box \\[nan"),
        ([[50, 50, 10, 10]], "x1 <= x2"),
        ([[1000, 1000, 1100, 1100]], "which is 64x64"),
    ],
)
def test_wrong_person_detectors_are_named(records, found, reason):
    with pytest.raises(InputError, match=f"person detector g.*{reason}"):
        next(detect_actions(tiny(), records[0].path, lambda picture: found))


def test_person_detectors_may_give_tensors_lists_and_scores():
    picture = torch.zeros(3, 64, 64, dtype=torch.uint8)
    box = [10.0, 10, 50, 50]
    for found in ([box], torch.tensor([box], requires_grad=True), np.array([[*box, 0.9]])):
        assert detection.persons_in(picture, lambda _, found=found: found).tolist() == [box]
    assert detection.persons_in(picture, lambda _: np.zeros((0, 5))).shape == (0, 4)


def test_without_its_weights_the_person_detector_tells_what_can_be_done(monkeypatch):
    monkeypatch.setenv("VIDHUB_OFFLINE", "1")
    with pytest.raises(WeightsError, match="VIDHUB_MIRROR") as error:
        detection.FasterRCNN()
    assert "checkpoint_path" not in str(error.value)


class Pen:
    """Notes what is drawn on a picture of 100 x 60."""

    def __init__(self):
        self.pen = ImageDraw.Draw(Image.new("RGB", (100, 60)))
        self.im, self.textbbox, self.boxes, self.texts = self.pen.im, self.pen.textbbox, [], []

    def rectangle(self, box, **_):
        self.boxes.append([round(v, 3) for v in box])

    def text(self, place, text, **options):
        options.pop("fill"), options.pop("stroke_fill")
        self.texts.append(self.textbbox(place, text, **options))


def test_boxes_are_drawn_between_their_key_frames_and_names_inside():
    frames, tracks = [10, 20, 30, 30, 40], [0, 0, 0, 1, 1]
    boxes = [[0, 0, 10, 10], [10, 0, 20, 10], [10, 0, 20, 10], [90, 50, 99, 59], [90, 50, 99, 59]]
    overlay = BoxOverlay(ActionPrediction("", frames, frames, tracks, boxes, [["walk"]] * 5, [[0.5]] * 5))
    drawn = {}
    for number in (4, 5, 15, 24, 26, 34, 36, 45, 46):
        pen = Pen()
        overlay.draw(pen, number, 1)
        drawn[number] = pen.boxes
        for left, top, right, bottom in pen.texts:
            assert 0 <= left <= right <= 100
            assert 0 <= top <= bottom <= 60
    one, other = [10, 0, 20, 10], [90, 50, 99, 59]
    assert drawn == {
        4: [],
        5: [[0, 0, 10, 10]],
        15: [[5, 0, 15, 10]],
        24: [one],
        26: [one, other],
        34: [one, other],
        36: [other],
        45: [other],
        46: [],
    }


def test_where_a_video_cannot_be_drawn_is_told_before_the_work(capsys, tmp_path):
    for target, reason in (("none/a.mp4", "there is no folder"), ("a.webm", "not to 'a.webm'")):
        assert main(["predict", "no.mp4", "--draw", str(tmp_path / target)]) == 2
        assert reason in capsys.readouterr().err


def test_nobody_there():
    found = predict_actions(tiny(), np.zeros((40, 32, 32, 3), np.uint8), detector=lambda frame: [])
    assert str(found) == "nobody was found"
    assert found.boxes == []


def test_a_lost_person_is_found_again_for_a_while():
    link, here, there = Linker(max_gap=1), np.array([[0, 0, 10, 10.0]]), np.array([[50, 50, 60, 60.0]])
    none = np.zeros((0, 4))
    assert [link(b) for b in (here, there, here + 1, np.concatenate((there, here)))] == [[0], [1], [0], [1, 0]]
    assert [link(b) for b in (none, none, here)] == [[], [], [2]]


def test_focal_weights_the_uncertain():
    logits, labels = torch.tensor([[0.0, 4, -4]]), torch.tensor([[0.0, 1, 0]])
    assert box_loss(logits, labels, gamma=2.0) < 0.01 * box_loss(logits, labels)


def test_the_person_detector_is_torchvisions():
    from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights, fasterrcnn_resnet50_fpn

    from vidhub.engine.detection import faster_rcnn
    from vidhub.weights.tables.detection import FASTER_RCNN

    with torch.device("meta"):
        ours, theirs = faster_rcnn(), fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None)
    shapes = {name: value.shape for name, value in ours.state_dict().items()}
    known = {name: value.shape for name, value in theirs.state_dict().items() if "num_batches" not in name}
    assert shapes == known
    published = FasterRCNN_ResNet50_FPN_Weights.COCO_V1
    assert published.url == FASTER_RCNN.url
    assert sum(p.numel() for p in ours.parameters()) == published.meta["num_params"] == FASTER_RCNN.num_params
