"""Tables of embeddings open in other people's programs, and hold what Python's PyTorch computes."""

from __future__ import annotations

import json

import duckdb
import numpy as np
import pandas
import pyarrow.parquet
import pytest
import torch

import program
from configurations import NETWORKS
from options import resolve


@pytest.fixture(params=["small", "RGB", "no MLP"], scope="module")
def embedded(request, trained, tmp_path_factory):
    """A run, and its training set as every kind of table, in fp32."""
    run = trained(request.param)
    folder = tmp_path_factory.mktemp("tables")
    train = run.folder.parent / "train"
    for name in ("table.parquet", "table.csv", "array.npy", "table.jsonl", "parts"):
        extra = ["--normalize", "l2"] if name == "parts" else ["--loss"]
        arguments = [run.folder, train, "-o", folder / name, "--precision", "fp32", "--json", *extra]
        (line,) = program.cli("embed", *arguments, folder=folder).splitlines()
        end = json.loads(line)
        assert end["event"] == "end" and end["images"] == len(run.images) and end["bad"] == 0
    return resolve(NETWORKS[request.param]), run, folder


@torch.no_grad()
def expected(run: program.Run) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings, N×D, and losses, by the run's TorchScript."""
    images = torch.from_numpy(run.images).permute(0, 3, 1, 2).contiguous().float() / 255
    losses = torch.nn.functional.binary_cross_entropy_with_logits(
        run.load("ae").logits(images), images, reduction="none"
    )
    return run.load("en")(images).flatten(1).numpy(), losses.flatten(1).mean(1).numpy()


def test_parquet_opens_in_pyarrow_pandas_and_duckdb(embedded):
    options, run, folder = embedded
    embeddings, losses = expected(run)
    names = [f"{i:03d}.png" for i in range(len(run.images))]
    path = folder / "table.parquet"

    table = pyarrow.parquet.read_table(path)
    assert table.column_names == ["path", "set", "class", "embedding", "loss", "width", "height", "bytes"]
    assert table.schema.field("embedding").type == pyarrow.list_(pyarrow.field("element", pyarrow.float32(), False))
    assert table["path"].to_pylist() == names
    assert table["class"].null_count == len(names)
    np.testing.assert_allclose(np.stack(table["embedding"].to_numpy()), embeddings, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(table["loss"].to_numpy(), losses, rtol=1e-5)
    assert set(table["width"].to_pylist()) == {options["width"]}
    assert set(table["height"].to_pylist()) == {options["height"]}
    sizes = [(run.folder.parent / "train" / name).stat().st_size for name in names]
    assert table["bytes"].to_pylist() == sizes
    origin = json.loads(pyarrow.parquet.read_metadata(path).metadata[b"flexible-autoencoder"])
    assert origin["dims"] == embeddings.shape[1] and origin["precision"] == "fp32"
    assert origin["settings"]["filters"] == options["filters"]

    frame = pandas.read_parquet(path)
    assert frame["path"].tolist() == names
    np.testing.assert_array_equal(np.stack(frame["embedding"]), np.stack(table["embedding"].to_numpy()))

    rows = duckdb.sql(f"select path, len(embedding), embedding[1] from '{path}' order by path").fetchall()
    assert [row[:2] for row in rows] == [(name, embeddings.shape[1]) for name in names]
    np.testing.assert_allclose([row[2] for row in rows], embeddings[:, 0], rtol=1e-4, atol=1e-5)


def test_parts_are_read_as_one_table(embedded):
    _, run, folder = embedded
    embeddings, _ = expected(run)
    table = pyarrow.parquet.read_table(sorted((folder / "parts").glob("part-*.parquet")))
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    np.testing.assert_allclose(np.stack(table["embedding"].to_numpy()), embeddings / lengths, rtol=1e-4, atol=1e-5)
    assert json.loads((folder / "parts" / "table.json").read_text())["images"] == len(embeddings)


def test_the_other_kinds_hold_the_same(embedded):
    _, run, folder = embedded
    whole = np.stack(pandas.read_parquet(folder / "table.parquet")["embedding"])
    losses = pandas.read_parquet(folder / "table.parquet")["loss"].to_numpy()

    np.testing.assert_array_equal(np.load(folder / "array.npy"), whole)
    names = pandas.read_csv(folder / "array.csv")
    assert names.columns.tolist() == ["path", "set", "class", "loss", "width", "height", "bytes"]
    np.testing.assert_array_equal(names["loss"].to_numpy(np.float32), losses)

    table = pandas.read_csv(folder / "table.csv", float_precision="round_trip")
    assert table.columns.tolist() == ["filename", *(f"embedding_{i}" for i in range(whole.shape[1])), "loss"]
    np.testing.assert_array_equal(table.iloc[:, 1:-1].to_numpy(np.float32), whole)

    lines = [json.loads(line) for line in (folder / "table.jsonl").read_text().splitlines()]
    assert [line["path"] for line in lines] == names["path"].tolist() == table["filename"].tolist()
    np.testing.assert_array_equal(np.array([line["embedding"] for line in lines], np.float32), whole)
