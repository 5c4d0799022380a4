"""Outliers found by the program, beside scikit-learn's neighbours and SciPy's MAD."""

from __future__ import annotations

import json

import numpy as np
import pandas
from scipy.stats import median_abs_deviation
from sklearn.neighbors import NearestNeighbors

import program
from conftest import make_images, write_images

NEIGHBOURS = 5


def table(run, name, folder):
    """Embeddings and losses of one of the run's sets."""
    arguments = [run.folder, run.folder.parent / name, "-o", folder / "table.parquet", "--precision", "fp32", "--loss"]
    program.cli("embed", *arguments, folder=folder)
    frame = pandas.read_parquet(folder / "table.parquet")
    return frame["path"], np.stack(frame["embedding"]).astype(np.float64), frame["loss"].to_numpy(np.float64)


def test_distances_and_scores(trained, tmp_path):
    run = trained("small")
    shape = run.images.shape[1:]
    inverted = 255 - make_images(6, *shape, seed=2)
    new = run.folder.parent / "new"
    write_images(new, np.concatenate([make_images(30, *shape, seed=4), inverted]))
    _, known, known_losses = table(run, "train", tmp_path)

    # Of points that are fitted, scikit-learn leaves out each one itself.
    search = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(known)
    own = search.kneighbors()[0].mean(1)
    for name in ("new", "train"):
        paths, embeddings, losses = table(run, name, tmp_path)
        distances, indices = search.kneighbors() if name == "train" else search.kneighbors(embeddings)
        means = distances.mean(1)

        def score(values, reference):
            return 0.6745 * (values - np.median(reference)) / median_abs_deviation(reference)

        expected = np.maximum(score(losses, known_losses), score(means, own))
        arguments = [run.folder, run.folder.parent / name, "--n-neighbors", str(NEIGHBOURS), "--precision", "fp32"]
        (line,) = program.cli("outliers", *arguments, "--json", "--no-sheets", folder=tmp_path).splitlines()
        rows = pandas.read_csv(tmp_path / "outliers.csv").set_index("path").loc[paths]
        np.testing.assert_allclose(rows["loss"], losses, rtol=1e-6)
        np.testing.assert_allclose(rows["neighbour_distance"], means, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(rows["score"], expected, rtol=1e-3, atol=1e-2)
        nearest = [str(run.folder.parent / "train" / f"{i:03d}.png") for i in indices[:, 0]]
        assert rows["nearest"].tolist() == nearest
        assert json.loads(line)["outliers"] == (rows["score"] > 3.5).sum()
