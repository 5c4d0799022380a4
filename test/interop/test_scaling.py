"""The recipes of docs/scaling.md, run as they stand there, and what they leave read by other programs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
import pandas
import pytest

import program

PAGE = (program.ROOT / "docs" / "scaling.md").read_text()
SECTION = PAGE[PAGE.index("## Embedding and clustering on a cluster") :]
DIGITS = program.ROOT / "data" / "sample" / "valid"
SHARDS = 4
SPARK = os.environ.get("FLEXAE_SPARK_PYTHON")


def recipe(kind: str, part: str) -> str:
    """The one fenced block of a kind that has ``part`` in it."""
    blocks = re.findall(rf"^```{kind}\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)
    (found,) = [block for block in blocks if part in block]
    return found


def bash(text: str, folder: Path, **environment: str) -> str:
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", text],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def python(text: str, folder: Path, executable: str = sys.executable) -> str:
    """What a block prints, as a program of its own."""
    done = subprocess.run([executable, "-c", text], cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    """A folder with a run in ``logs``, a set of images called ``photos``, and ``npx flexae``."""
    folder = tmp_path_factory.mktemp("scaling")
    (folder / "photos").symlink_to(DIGITS)
    commands = folder / "node_modules" / ".bin"
    commands.mkdir(parents=True)
    (commands / "flexae").symlink_to(program.ROOT / "scripts" / "flexae.mjs")
    # fmt: off
    program.cli(
        "run", "--train-dir", "photos", "--valid-dir", "photos", "--image-shape", "28,28", "--filters", "8",
        "--kernel-size", "3", "--strides", "2", "--pooling", "no", "--dims", "8", "--train-epochs", "1",
        "--optimizer", "adam", "--save-dir", "logs/run", "--no-report", folder=folder,
    )
    # fmt: on
    return folder


def rows_of(folder: Path) -> pandas.DataFrame:
    """All rows of a folder's parts, by DuckDB."""
    names = f"{folder}/*.parquet"
    return duckdb.sql(f"select * from read_parquet('{names}') order by path").df()


def check_shards(folder: Path, whole: pandas.DataFrame) -> None:
    """Every shard has written a file and its marker, and together they have every image once."""
    names = sorted(path.name for path in folder.iterdir())
    shards = range(1, SHARDS + 1)
    assert names == sorted(
        [f"part-{i}of{SHARDS}-00000.parquet" for i in shards] + [f"table-{i}of{SHARDS}.json" for i in shards]
    )
    rows = rows_of(folder)
    assert rows["path"].tolist() == whole["path"].tolist()
    # A last batch of other images may be computed in another order.
    np.testing.assert_allclose(np.stack(rows["embedding"]), np.stack(whole["embedding"]), rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def whole(work) -> pandas.DataFrame:
    """What one process writes."""
    program.cli("embed", "last", "photos", "-o", "whole.parquet", folder=work)
    return pandas.read_parquet(work / "whole.parquet").sort_values("path", ignore_index=True)


@pytest.fixture(scope="module")
def parts(work, whole) -> Path:
    """The parts that the recipe by xargs leaves."""
    text = recipe("sh", "xargs")
    bash(text, work)
    check_shards(work / "parts", whole)
    # Once more: nothing is new, and nothing goes wrong.
    bash(text, work)
    check_shards(work / "parts", whole)
    assert bash(recipe("sh", "wc -l"), work).strip() == str(SHARDS)
    return work / "parts"


def test_an_array_of_jobs(work, whole):
    script = recipe("sh", "#SBATCH")
    (tasks,) = re.findall(r"#SBATCH --array=(\S+)", script)
    assert tasks == f"1-{SHARDS}"
    (work / "embed.sh").write_text(script.replace("-o parts", "-o jobs"))
    # As Slurm sets them, which also numbers arrays otherwise.
    for first, step in ((1, 1), (3, 5)):
        shutil.rmtree(work / "jobs", ignore_errors=True)
        for i in range(SHARDS):
            bash(
                "bash embed.sh",
                work,
                SLURM_ARRAY_TASK_ID=str(first + step * i),
                SLURM_ARRAY_TASK_COUNT=str(SHARDS),
                SLURM_ARRAY_TASK_MIN=str(first),
                SLURM_ARRAY_TASK_MAX=str(first + step * (SHARDS - 1)),
                SLURM_ARRAY_TASK_STEP=str(step),
            )
        check_shards(work / "jobs", whole)


@pytest.mark.skipif(shutil.which("parallel") is None, reason="GNU parallel is not there")
def test_gnu_parallel(work, whole):
    bash(recipe("sh", "parallel -j").replace("-o parts", "-o by_parallel"), work)
    check_shards(work / "by_parallel", whole)


def counts_in(text: str) -> dict[str, int]:
    """Classes and their images, out of whatever table a program has printed."""
    return {name: int(count) for name, count in re.findall(r"(digit_\d)\W+(\d+)", text)}


def expected_counts() -> dict[str, int]:
    return {path.name: len(list(path.iterdir())) for path in DIGITS.iterdir()}


@pytest.mark.parametrize("library", ["duckdb", "dask"])
def test_is_one_table(parts, library):
    assert counts_in(python(recipe("python", f"import {library}"), parts.parent)) == expected_counts()


@pytest.fixture(scope="module")
def table(parts) -> pandas.DataFrame:
    """All rows of the parts in the order of their paths, as DuckDB reads them."""
    return rows_of(parts)


def test_is_one_table_to_pandas(parts, table):
    text = recipe("python", "import pandas") + "\nnumpy.save('by_pandas.npy', embeddings)"
    python(text + "\ntable[['path']].to_csv('by_pandas.csv')", parts.parent)
    theirs = pandas.read_csv(parts.parent / "by_pandas.csv")
    order = theirs.sort_values("path").index
    assert theirs["path"][order].tolist() == table["path"].tolist()
    embeddings = np.load(parts.parent / "by_pandas.npy")[order]
    np.testing.assert_array_equal(embeddings, np.stack(table["embedding"]))


@pytest.mark.skipif(SPARK is None, reason="FLEXAE_SPARK_PYTHON names no Python with PySpark, or there is no Java")
def test_is_one_table_to_spark(parts, table):
    more = """
table.orderBy("path").selectExpr("path", "class", "to_json(embedding) as embedding").coalesce(1).write.json("by_spark")
spark.stop()
"""
    text = recipe("python", "pyspark")
    assert counts_in(python(text + more, parts.parent, SPARK)) == expected_counts()
    (file,) = (parts.parent / "by_spark").glob("part-*.json")
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert [row["path"] for row in rows] == table["path"].tolist()
    embeddings = np.array([json.loads(row["embedding"]) for row in rows], np.float32)
    np.testing.assert_array_equal(embeddings, np.stack(table["embedding"]))


def test_clusters_of_parts(parts, table):
    folder = parts.parent
    text = recipe("sh", "flexae cluster")
    bash(re.sub(r"^(npx flexae cluster .*)$", r"\1 --memory 1K", text, flags=re.MULTILINE), folder)
    found, again = (pandas.read_parquet(folder / f"{name}.parquet") for name in ("clusters", "again"))
    assert sorted(found["path"]) == table["path"].tolist()
    assert found["cluster"].tolist() == again["cluster"].tolist()
    centroids = np.load(folder / "clusters.clusters.npy")
    points = np.stack(found.merge(table, on="path", suffixes=("", "_"))["embedding"])
    distances = np.linalg.norm(points[:, None] - centroids, axis=2)
    np.testing.assert_allclose(found["distance"], distances.min(1), rtol=1e-3, atol=1e-4)
    sizes = np.bincount(found["cluster"], minlength=10).tolist()
    assert sizes == json.loads((folder / "clusters.clusters.json").read_text())["sizes"]


def test_takes_parts_that_others_wrote(parts):
    """By Snappy, in dictionaries, in several row groups and pages, of doubles: row for row the same."""
    folder = parts.parent
    ours = folder / "ours.parquet"
    theirs = folder / "theirs"
    theirs.mkdir()
    duckdb.sql(f"copy (select * from '{parts}/*.parquet') to '{ours}' (format parquet, compression snappy)")
    frame = pandas.read_parquet(ours)
    frame[:400].to_parquet(theirs / "a.parquet", row_group_size=150, data_page_size=512)
    frame[400:700].to_parquet(theirs / "b.parquet", use_dictionary=False, compression=None, data_page_version="2.0")
    doubles = frame[700:].assign(embedding=[row.astype(float) for row in frame["embedding"][700:]])
    doubles.to_parquet(theirs / "c.parquet")
    for name in ("parts/*.parquet", "theirs/*.parquet", "ours.parquet"):
        program.cli(
            "cluster", name, "--predict", "clusters.clusters.json", "-o", "read.csv", "--memory", "1K",
            "--no-sheets", folder=folder,
        )  # fmt: skip
        rows = pandas.read_csv(folder / "read.csv")
        if name.startswith("parts"):
            first = rows
        assert rows["path"].tolist() == first["path"].tolist()
        assert rows["cluster"].tolist() == first["cluster"].tolist()
        np.testing.assert_allclose(rows["distance"], first["distance"], rtol=1e-6)
