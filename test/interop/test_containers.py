"""Containers made by other people's programs hold the images that were put in, and ours open there."""

from __future__ import annotations

import base64
import gzip
import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import webdataset
from PIL import Image

import program
from conftest import make_images

COUNT = 12
CLASSES = ["cats", "dogs", "ümlaut"]

# What a set has: names below its place, classes, and each image's bytes as a file.
LISTING = """
import { relative } from "node:path";
import { loadAddon } from "./dist/addon/loader.js";
import { openSet } from "./dist/dataset/open_set.js";
const [set, from] = process.argv.slice(1);
const { source, labels, classes } = await openSet(set, { name: "The set" });
const images = await loadAddon().readImages(source.files);
console.log(JSON.stringify({
  names: source.files.map((file) => relative(from, file)),
  classes: [...labels].map((label) => classes[label]),
  images: images.map((image) => image.toString("base64")),
}));
"""


class Listed:
    """A set as the program under test has it."""

    def __init__(self, place: Path, pattern: str | None = None) -> None:
        text = str(place) if pattern is None else str(place / pattern)
        listing = json.loads(program.node(LISTING, text, place))
        self.names: list[str] = listing["names"]
        self.classes: list[str] = listing["classes"]
        self.images = [base64.b64decode(image) for image in listing["images"]]

    def pixels(self) -> np.ndarray:
        return np.stack([np.asarray(Image.open(io.BytesIO(image))) for image in self.images])


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory):
    """Lists are kept where this module alone looks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLEXAE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return make_images(COUNT, 10, 14, 3, seed=5)


def png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def label(i: int) -> str:
    return CLASSES[i % len(CLASSES)]


@pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_tar(tmp_path, images, tar_format, mode):
    place = tmp_path / "images"
    long = "folder/" * (12 if tar_format == tarfile.USTAR_FORMAT else 40)
    names = [f"{long}{label(i)}/{i}.png" for i in range(COUNT)]
    with tarfile.open(place, mode, format=tar_format) as tar:
        for name, image in zip(names, images):
            member = tarfile.TarInfo(f"./{name}")
            content = png(image)
            member.size = len(content)
            member.mtime = 1.5  # for which PAX has a header of its own
            tar.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo(f"{long}cats/again.png")
        link.type, link.linkname = tarfile.LNKTYPE, f"./{names[0]}"
        tar.addfile(link)
    listed = Listed(place)
    assert listed.names == [*names, f"{long}cats/again.png"]
    assert listed.classes == [*(label(i) for i in range(COUNT)), "cats"]
    np.testing.assert_array_equal(listed.pixels(), [*images, images[0]])


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_zip(tmp_path, images, compression):
    place = tmp_path / "images"
    with zipfile.ZipFile(place, "w", compression) as archive:
        archive.mkdir("cats")
        for i, image in enumerate(images):
            if i % 2:
                archive.writestr(f"{label(i)}/{i}.png", png(image))
            else:
                # As a stream: its sizes stand behind it, and in the list.
                with archive.open(f"{label(i)}/{i}.png", "w", force_zip64=True) as member:
                    member.write(png(image))
    listed = Listed(place)
    assert listed.names == [f"{label(i)}/{i}.png" for i in range(COUNT)]
    assert listed.classes == [label(i) for i in range(COUNT)]
    np.testing.assert_array_equal(listed.pixels(), images)


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_zip_of_other_compressions_is_refused(tmp_path, images, compression):
    place = tmp_path / "images.zip"
    with zipfile.ZipFile(place, "w", compression) as archive:
        archive.writestr("0.png", png(images[0]))
    with pytest.raises(AssertionError, match=r"has its 0\.png compressed by method \d+: pack it"):
        Listed(place)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_npy(tmp_path, images, version):
    for array, name in [(images, "color"), (images[..., :1], "one"), (images[..., 0], "gray")]:
        place = tmp_path / name
        with place.open("wb") as file:
            np.lib.format.write_array(file, np.ascontiguousarray(array), version)
        listed = Listed(place)
        assert listed.names == [f"{i:02d}" for i in range(COUNT)]
        np.testing.assert_array_equal(listed.pixels(), array.squeeze(-1) if name == "one" else array)
        packed = tmp_path / f"{name}.npy.gz"
        packed.write_bytes(gzip.compress(place.read_bytes()))
        assert Listed(packed).images == listed.images


def test_npy_of_other_arrays_is_refused(tmp_path, images):
    for array, reason in [
        (images.astype(np.float32), r"holds numbers of type <f4"),
        (np.asfortranarray(images), r"is in Fortran's order"),
        (images.transpose(0, 3, 1, 2), r"has the shape 12×3×10×14|Fortran"),
    ]:
        np.save(tmp_path / "array.npy", array)
        with pytest.raises(AssertionError, match=reason):
            Listed(tmp_path / "array.npy")


def test_idx(tmp_path, images):
    gray = np.ascontiguousarray(images[..., 0])
    header = np.array([0x803, *gray.shape], ">u4").tobytes()
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(header + gray.tobytes()))
    labels = np.array([0x801, COUNT], ">u4").tobytes() + bytes(i % 3 for i in range(COUNT))
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
    listed = Listed(tmp_path / "train-images-idx3-ubyte.gz")
    assert listed.classes == [str(i % 3) for i in range(COUNT)]
    np.testing.assert_array_equal(listed.pixels(), gray)


HUGGING_FACE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


@pytest.mark.parametrize("compression", ["none", "snappy", "zstd", "gzip", "brotli", "lz4"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_parquet_of_hugging_face(tmp_path, images, compression, version):
    features = {
        "image": {"_type": "Image"},
        "label": {"names": CLASSES, "_type": "ClassLabel"},
    }
    schema = pa.schema(
        [("image", HUGGING_FACE), ("label", pa.int64())],
        {"huggingface": json.dumps({"info": {"features": features}})},
    )
    rows = [
        {"image": {"bytes": png(image), "path": f"{i}.png" if i % 4 else None}, "label": i % 3}
        for i, image in enumerate(images)
    ]
    place = tmp_path / "data.parquet"
    pyarrow.parquet.write_table(
        pa.Table.from_pylist(rows, schema),
        place,
        compression=compression,
        row_group_size=5,
        data_page_version=version,
    )
    listed = Listed(place)
    assert listed.names == [f"{i}.png" if i % 4 else f"{i:02d}.png" for i in range(COUNT)]
    assert listed.classes == [label(i) for i in range(COUNT)]
    np.testing.assert_array_equal(listed.pixels(), images)


def test_parquet_of_plain_columns(tmp_path, images):
    table = pa.table(
        {
            "id": range(COUNT),
            "jpg": pa.array([png(image) for image in images], pa.large_binary()),
            "category": pa.array([label(i) for i in range(COUNT)]).dictionary_encode(),
        }
    )
    pyarrow.parquet.write_table(table, tmp_path / "table")
    listed = Listed(tmp_path / "table")
    assert listed.classes == [label(i) for i in range(COUNT)]
    np.testing.assert_array_equal(listed.pixels(), images)


def test_shards_of_webdataset(tmp_path, images):
    with webdataset.ShardWriter(str(tmp_path / "train-%06d.tar"), maxcount=5, verbose=0) as writer:
        for i, image in enumerate(images):
            writer.write({"__key__": f"sample{i:04d}", "png": image, "cls": i % 3, "json": {"n": i}})
    listed = Listed(tmp_path, "train-{000000..000002}.tar")
    assert listed.names == [f"train-{i // 5:06d}.tar/sample{i:04d}.png" for i in range(COUNT)]
    assert listed.classes == [str(i % 3) for i in range(COUNT)]
    np.testing.assert_array_equal(listed.pixels(), images)


def test_webdataset_reads_packed_shards(tmp_path, images):
    for i, image in enumerate(images):
        folder = tmp_path / "set" / label(i)
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{i:02d}" if i else "a.name.with.dots.and-" + "much more " * 12
        (folder / f"{name}.png").write_bytes(png(image))
    program.cli("pack", "set", "-o", "shards", folder=tmp_path)
    shards = sorted(str(path) for path in (tmp_path / "shards").glob("*.tar"))
    names = (tmp_path / "shards" / "classes.txt").read_text().splitlines()
    dataset = webdataset.WebDataset(shards, shardshuffle=False).decode("rgb8")
    samples = list(dataset.to_tuple("png", "cls", "__key__"))
    assert len(samples) == COUNT
    assert names == CLASSES
    for image, number, key in samples:
        folder, stem = key.split("/")
        assert names[number] == folder
        i = 0 if stem.startswith("a_name") else int(stem)
        assert number == i % 3
        np.testing.assert_array_equal(image, images[i])
    # And Python's tarfile finds nothing to complain about.
    with tarfile.open(shards[0]) as tar:
        assert len(tar.getmembers()) == 2 * COUNT


def epoch_scores(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a run printed of each epoch, but for how long it took."""
    times = "seconds", "imagesPerSecond"
    epochs = [event for event in events if event["event"] == "epoch"]
    return [{key: value for key, value in event.items() if key not in times} for event in epochs]


def test_training_is_that_of_the_folder(trained, tmp_path):
    run = trained("small")
    train = run.folder.parent / "train"
    with tarfile.open(tmp_path / "train.tar", "w") as tar:
        for path in sorted(train.iterdir()):
            tar.add(path, path.name)
    parameters = json.loads((run.folder.parent / "config.json").read_text())
    parameters |= {"train_dir": "train.tar", "save_dir": "run"}
    (tmp_path / "config.json").write_text(json.dumps(parameters))
    lines = program.cli("run", "--json", "--config", "config.json", folder=tmp_path).splitlines()
    scores = epoch_scores([json.loads(line) for line in lines])
    assert len(scores) == 2
    assert scores == epoch_scores(run.events)
