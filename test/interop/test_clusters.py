"""Clusters found by the program, beside scikit-learn's on the same table."""

from __future__ import annotations

import json

import numpy as np
import pandas
import pytest
from sklearn import metrics
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture

import program


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A folder with a table: eight heaps that overlap, 3,000 rows of six numbers, with classes."""
    folder = tmp_path_factory.mktemp("clusters")
    rng = np.random.default_rng(5)
    classes = rng.integers(0, 8, 3000)
    centres = rng.normal(0, 4, (8, 6))
    points = (centres[classes] + rng.normal(0, 1.2, (3000, 6))).astype(np.float32)
    frame = pandas.DataFrame(
        {
            "path": [f"{i}.png" for i in range(3000)],
            "class": [f"c{number}" for number in classes],
            "embedding": list(points),
        }
    )
    # As pandas and pyarrow write it, compressed: a table of another program.
    frame.to_parquet(folder / "table.parquet")
    return folder, points, classes


def run(folder, *arguments):
    (line,) = program.cli("cluster", "table.parquet", *arguments, "--json", folder=folder).splitlines()
    end = json.loads(line)
    return end, pandas.read_csv(folder / "out.csv")


def test_kmeans_is_no_worse_and_scores_are_scikit_learns(table):
    folder, points, classes = table
    end, rows = run(folder, "-k", "8", "-o", "out.csv")
    theirs = KMeans(8, n_init=10, random_state=0).fit(points)
    assert end["inertia"] <= theirs.inertia_ * (1 + 1e-6)

    labels = rows["cluster"].to_numpy()
    centroids = np.load(folder / "out.clusters.npy")
    means = np.stack([points[labels == k].mean(0, dtype=np.float64) for k in range(8)])
    np.testing.assert_allclose(centroids, means, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(rows["distance"], np.linalg.norm(points - centroids[labels], axis=1), rtol=1e-4)
    np.testing.assert_allclose(
        rows["silhouette"], metrics.silhouette_samples(points.astype(np.float64), labels), atol=1e-9
    )
    assert end["nmi"] == pytest.approx(metrics.normalized_mutual_info_score(classes, labels), abs=1e-9)
    assert end["ari"] == pytest.approx(metrics.adjusted_rand_score(classes, labels), abs=1e-9)


def test_a_mixture_is_as_likely_as_scikit_learns(table):
    folder, points, classes = table
    end, rows = run(folder, "-k", "8", "-o", "out.csv", "--method", "gmm", "--restarts", "4")
    theirs = GaussianMixture(8, n_init=4, random_state=0).fit(points)
    agreement = metrics.adjusted_rand_score(theirs.predict(points), rows["cluster"])
    assert agreement > 0.98
    assert end["ari"] == pytest.approx(metrics.adjusted_rand_score(classes, rows["cluster"]), abs=1e-9)
    stored = json.loads((folder / "out.clusters.json").read_text())["mixture"]
    ours = GaussianMixture(8)
    ours.weights_ = np.array(stored["weights"])
    ours.means_ = np.array(stored["means"]).reshape(8, 6)
    ours.precisions_cholesky_ = np.array(stored["precisionsCholesky"]).reshape(8, 6, 6)
    assert ours.score(points) >= theirs.score(points) - 1e-3
    np.testing.assert_array_equal(ours.predict(points), rows["cluster"])


@pytest.mark.parametrize("codec", ["gzip", "zstd", "brotli", "lz4"])
def test_a_table_may_be_compressed_by_any_codec(table, codec, tmp_path):
    folder, _, _ = table
    expected = program.cli("cluster", "table.parquet", "-k", "8", "-o", "snappy.csv", folder=folder)
    assert expected
    frame = pandas.read_parquet(folder / "table.parquet")
    frame.to_parquet(tmp_path / "table.parquet", compression=codec)
    program.cli("cluster", "table.parquet", "-k", "8", "-o", "out.csv", folder=tmp_path)
    assert (tmp_path / "out.csv").read_text() == (folder / "snappy.csv").read_text()
