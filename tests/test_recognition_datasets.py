"""Recognition data sets from small annotation files in their publishers' formats."""

import json
import os

import pytest
from media import render

from vidhub.datasets.catalog import create_dataset, survey
from vidhub.errors import InputError
from vidhub.weights.types import read_labels


def write(root, **files):
    """Files by path, with "__" for the slash and a text, list of lines or JSON as content."""
    for path, content in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content if isinstance(content, str) else json.dumps(content))
    return root


def touch(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"")


def found(root, name, split, **options):
    """(path under the root, label) of every record."""
    records = create_dataset(name, root, split, **options).records
    return [(os.path.relpath(r.path, root).replace(os.sep, "/"), r.label) for r in records]


def test_hmdb51(tmp_path):
    for name in read_labels("hmdb51"):
        lines = f"{name}_one.avi 1 \n{name}_two.avi 2 \n{name}_three.avi 0 \n"
        files = {f"testTrainMulti_7030_splits/{name}_test_split{n}.txt": lines for n in (1, 2)}
        write(tmp_path, **files)
    train = found(tmp_path, "hmdb51", "train")
    assert len(train) == 51
    assert train[1] == ("cartwheel/cartwheel_one.avi", 1)
    assert found(tmp_path, "hmdb51", "test2")[50] == ("wave/wave_two.avi", 50)
    (tmp_path / "testTrainMulti_7030_splits" / "brush_hair_test_split1.txt").write_text("a.avi 7\n")
    with pytest.raises(InputError, match="line 1: expected 'file 0, 1 or 2'"):
        found(tmp_path, "hmdb51", "train")


def test_ucf101(tmp_path):
    write(
        tmp_path,
        **{
            "ucfTrainTestlist/classInd.txt": "1 ApplyEyeMakeup\n2 Archery\n",
            "ucfTrainTestlist/trainlist01.txt": "Archery/v_Archery_g08_c01.avi 2\nApplyEyeMakeup/v_a.avi 1\n",
            "ucfTrainTestlist/testlist01.txt": "Archery/v_Archery_g01_c01.avi\n",
            "ucfTrainTestlist/testlist03.txt": "ApplyEyeMakeup/v_b.avi\n",
        },
    )
    (tmp_path / "UCF-101").mkdir()
    assert found(tmp_path, "ucf101", "train") == [
        ("UCF-101/Archery/v_Archery_g08_c01.avi", 1),
        ("UCF-101/ApplyEyeMakeup/v_a.avi", 0),
    ]
    assert found(tmp_path, "ucf101", "test1") == [("UCF-101/Archery/v_Archery_g01_c01.avi", 1)]
    assert found(tmp_path, "ucf101", "test3") == [("UCF-101/ApplyEyeMakeup/v_b.avi", 0)]


KINETICS = (
    "label,youtube_id,time_start,time_end,split\n"
    '"massaging person\'s head",---QUuC4vJs,84,94,val\n'
    "air drumming,--3ouPhoy2A,20.0,30.0,val\n"
    ",-gone000000,1,11,test\n"
)


@pytest.mark.parametrize("place", ["val", "videos_val", "videos"])
def test_kinetics(tmp_path, place):
    write(tmp_path, **{"annotations/kinetics_val.csv": KINETICS})
    touch(tmp_path, f"{place}/massaging_person's_head/---QUuC4vJs_000084_000094.mp4", f"{place}/--3ouPhoy2A.webm")
    labels = read_labels("kinetics400")
    assert found(tmp_path, "kinetics400", "val") == [
        (f"{place}/massaging_person's_head/---QUuC4vJs_000084_000094.mp4", labels.index("massaging person's head")),
        (f"{place}/--3ouPhoy2A.webm", labels.index("air drumming")),
        (f"{place}/-gone000000_000001_000011.mp4", None),
    ]


def test_replaced_kinetics_videos(tmp_path):
    write(tmp_path, **{"val.csv": KINETICS})
    touch(tmp_path, "val/--3ouPhoy2A_000020_000030.mp4", "replacement/of_k400/--3ouPhoy2A_000020_000030.mp4")
    assert found(tmp_path, "kinetics400", "val")[1][0] == "replacement/of_k400/--3ouPhoy2A_000020_000030.mp4"


def test_kinetics_from_a_list(tmp_path):
    write(tmp_path, **{"annotations/kinetics600_train_list_videos.txt": "abseiling/x_000001_000011.mp4 0\n"})
    (tmp_path / "videos_train").mkdir()
    assert found(tmp_path, "kinetics600", "train") == [("videos_train/abseiling/x_000001_000011.mp4", 0)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "label,youtube_id,time_start,time_end\nflying to the moon,x,0,10\n",
            "line 2: 'flying to the moon' is none of",
        ),
        ("label,youtube_id,time_start,time_end\nabseiling,x,soon,10\n", "line 2: expected a whole number, not 'soon'"),
        ("a,b,c,d\n", "line 1: expected the header"),
        ("label,youtube_id\n", "line 1: expected 4 fields"),
    ],
)
def test_wrong_kinetics_files_are_told(tmp_path, text, message):
    write(tmp_path, **{"train.csv": text})
    with pytest.raises(InputError, match=message):
        found(tmp_path, "kinetics700", "train")


@pytest.mark.parametrize(
    ("name", "prefix", "folder", "label"),
    [
        ("sthv1", "something-something-v1", "20bn-something-something-v1", "Turning something upside down"),
        ("jester", "jester-v1", "20bn-jester-v1", "Swiping Right"),
    ],
)
def test_numbered_folders(tmp_path, name, prefix, folder, label):
    write(
        tmp_path,
        **{
            f"{prefix}-train.csv": f"100218;{label}\n",
            f"{prefix}-validation.csv": f"7;{label}\n",
            f"{prefix}-test.csv": "3\n",
        },
    )
    assert found(tmp_path, name, "train") == [(f"{folder}/100218", 1)]
    assert found(tmp_path, name, "val") == [(f"{folder}/7", 1)]
    assert found(tmp_path, name, "test") == [(f"{folder}/3", None)]


def test_sthv2(tmp_path):
    item = {"id": "78687", "label": "holding cup", "template": "Holding [something] next to [something]"}
    labels = {"Holding something next to something": "1", "Approaching something": "0"}
    write(tmp_path, **{"labels.json": labels, "train.json": [item], "test.json": [{"id": "1420"}]})
    touch(tmp_path, "20bn-something-something-v2/78687.webm")
    data = create_dataset("sthv2", tmp_path, "train")
    assert data.classes == ("Approaching something", "Holding something next to something")
    assert found(tmp_path, "sthv2", "train") == [("20bn-something-something-v2/78687.webm", 1)]
    assert found(tmp_path, "sthv2", "test") == [("20bn-something-something-v2/1420.webm", None)]


def test_diving48(tmp_path):
    (tmp_path / "rgb").mkdir()
    item = {"vid_name": "8mmDbYFcDaM_00029", "label": 31, "start_frame": 0, "end_frame": 148}
    write(tmp_path, **{"Diving48_V2_train.json": [item], "Diving48_V2_test.json": [{"vid_name": "x"}]})
    assert found(tmp_path, "diving48", "train") == [("rgb/8mmDbYFcDaM_00029.mp4", 31)]
    with pytest.raises(InputError, match="vid_name"):
        found(tmp_path, "diving48", "test")


def test_moments_in_time(tmp_path):
    write(
        tmp_path,
        **{
            "moments_categories.txt": "clapping,0\npraying,1\n",
            "trainingSet.csv": "praying/yt-a_1.mp4,praying,3,0\n",
            "validationSet.csv": "clapping/yt-b_2.mp4,clapping,4,0\n",
        },
    )
    assert found(tmp_path, "mit", "train") == [("training/praying/yt-a_1.mp4", 1)]
    assert found(tmp_path, "mit", "val") == [("validation/clapping/yt-b_2.mp4", 0)]


def test_multi_moments_in_time(tmp_path):
    write(tmp_path, **{"annotations/trainingSet.csv": "0-9/a.mp4,12,3\n0-9/b.mp4,312\n"})
    (tmp_path / "videos").mkdir()
    data = create_dataset("mmit", tmp_path, "train")
    assert found(tmp_path, "mmit", "train") == [("videos/0-9/a.mp4", (12, 3)), ("videos/0-9/b.mp4", (312,))]
    assert data.target(0).sum() == 2
    write(tmp_path, **{"annotations/trainingSet.csv": "0-9/a.mp4,313\n"})
    with pytest.raises(InputError, match="line 1: label 313 is not from 0 to 312"):
        found(tmp_path, "mmit", "train")


def test_hvu(tmp_path):
    write(tmp_path, **{"HVU_Train_V1.0.csv": "Tags,youtube_id,time_start,time_end\nabseiling|afro|unknown,x,5,15\n"})
    data = create_dataset("hvu", tmp_path, "train")
    assert data.categories == {
        "action": 739,
        "attribute": 117,
        "concept": 291,
        "event": 69,
        "object": 1678,
        "scene": 248,
    }
    assert data.labels == [{"action": (0,), "attribute": (0,)}]
    assert found(tmp_path, "hvu", "train")[0][0] == "x_000005_000015.mp4"
    target = data.target(0)
    assert (target == 1).sum() == 2
    assert target.isnan().sum() == 3142 - 739 - 117
    write(tmp_path, **{"hvu_val_video.json": [{"filename": "a.mp4", "label": {"scene": [3], "action": [1]}}]})
    data = create_dataset("hvu", tmp_path, "val", categories=["scene"])
    assert data.labels == [{"scene": (3,)}]
    assert data.num_classes == 248


def test_omnisource_joins_videos_images_and_clips(tmp_path):
    lists = {
        "kinetics_200/k200_train.txt": "v.mp4 3\n",
        "kinetics_200/k200_val.txt": "w.mp4 4\n",
        "googleimage_200/tsn_8seg_googleimage_200_wodup.txt": "000/00/000001.jpg 0\n",
        "insimage_200/tsn_8seg_insimage_200_wodup.txt": "001/x/1.jpg 1\n",
        "insvideo_200/slowonly_8x8_insvideo_200_wodup.txt": "002/x/B.mp4 2\n",
        "kinetics_raw_200/slowonly_8x8_kinetics_raw_200.json": [
            {"video_dir": "pref_/x", "label": 5, "num_clips": 3, "positive_clip_inds": [0, 2]}
        ],
    }
    write(tmp_path, **{f"annotations/{path}": content for path, content in lists.items()})
    assert found(tmp_path, "omnisource", "train") == [
        ("kinetics_200_train/v.mp4", 3),
        ("googleimage_200/000/00/000001.jpg", 0),
        ("insimage_200/001/x/1.jpg", 1),
        ("insvideo_200/002/x/B.mp4", 2),
        ("kinetics_raw_200_train/pref_/x/part_0.mp4", 5),
        ("kinetics_raw_200_train/pref_/x/part_2.mp4", 5),
    ]
    assert found(tmp_path, "omnisource", "val") == [("kinetics_200_val/w.mp4", 4)]
    assert len(found(tmp_path, "omnisource", "train", sources=["google_images"])) == 1


def test_finegym(tmp_path):
    name = "0LtLS9wROrk_E_002407_002435_A_0003_0005"
    write(tmp_path, **{"gym99_train_element_v1.1.txt": f"{name} 17\n"})
    (record,) = create_dataset("gym99", tmp_path, "train").records
    assert (record.path, record.label) == (str(tmp_path / "videos" / "0LtLS9wROrk.mp4"), 17)
    assert (record.start, record.end) == (2410, 2412)
    times = {
        "0LtLS9wROrk": {"E_002407_002435": {"event": 1, "segments": {"A_0003_0005": {"timestamps": [[3.2, 5.1]]}}}}
    }
    write(tmp_path, **{"finegym_annotation_info_v1.1.json": times})
    (record,) = create_dataset("gym99", tmp_path, "train").records
    assert (record.start, record.end) == pytest.approx((2410.2, 2412.1))
    touch(tmp_path, f"events/{name[:27]}.mp4")
    (record,) = create_dataset("gym99", tmp_path, "train").records
    assert record.path.endswith("events/0LtLS9wROrk_E_002407_002435.mp4")
    assert (record.start, record.end) == (3.2, 5.1)
    touch(tmp_path, f"subactions/{name}.mp4")
    assert found(tmp_path, "gym99", "train") == [(f"subactions/{name}.mp4", 17)]
    write(tmp_path, **{"gym99_val_element.txt": f"{name}.mp4 3\n"})
    assert found(tmp_path, "gym99", "val") == [(f"subactions/{name}.mp4", 3)]
    write(tmp_path, **{"gym288_train_element_v1.0.txt": f"{name} 288\n"})
    with pytest.raises(InputError, match="line 1: label 288 is not from 0 to 287"):
        found(tmp_path, "gym288", "train")


def test_activitynet_clips(tmp_path):
    video = {"subset": "training", "duration": 60.0, "annotations": [{"segment": [1.5, 9.0], "label": "Ballet"}]}
    write(
        tmp_path, **{"activity_net.v1-3.json": {"database": {"abc": video, "def": {**video, "subset": "validation"}}}}
    )
    (record,) = create_dataset("activitynet_clips", tmp_path, "train").records
    assert record.path.endswith("v_abc.mp4")
    assert (record.start, record.end) == (1.5, 9.0)
    assert read_labels("activitynet")[record.label] == "Ballet"


@pytest.mark.parametrize(
    "name", ["kinetics400", "sthv2", "mit", "ucf101", "hmdb51", "diving48", "jester", "gym99", "hvu"]
)
def test_an_empty_folder_is_told(tmp_path, name):
    with pytest.raises(InputError, match=str(tmp_path)):
        create_dataset(name, tmp_path, "train")


def test_survey_of_a_copy(tmp_path):
    write(tmp_path, **{"Diving48_V2_train.json": [{"vid_name": name, "label": 0} for name in "ab"]})
    (tmp_path / "rgb").mkdir()
    render(tmp_path / "rgb" / "a.mp4", frames=2)
    (train,) = survey("diving48", tmp_path)
    assert (train.split, train.records, train.published, train.missing) == ("train", 2, 15027, 1)
