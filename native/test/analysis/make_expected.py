"""Writes expected.h, what scikit-learn finds for the points of made_points.h.

    python native/test/analysis/make_expected.py > native/test/analysis/expected.h

Needs scikit-learn and scipy; expected.h says which versions it was written with.
"""

import numpy as np
import scipy
import sklearn
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.metrics import (
    adjusted_rand_score,
    normalized_mutual_info_score,
    silhouette_samples,
    silhouette_score,
)
from sklearn.metrics.cluster import contingency_matrix
from sklearn.mixture import GaussianMixture

GAMMA = np.uint64(0x9E3779B97F4A7C15)


def uniform_at(seed, i):
    with np.errstate(over="ignore"):
        x = np.uint64(seed << 32) + (np.asarray(i, np.uint64) + np.uint64(1)) * GAMMA
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x = x ^ (x >> np.uint64(31))
    return (x >> np.uint64(40)).astype(np.float64) * 2.0**-24


def made_points(n, d, blobs, spread, seed, offset=0.0):
    i = np.arange(n)[:, None]
    t = np.arange(d)[None, :]
    place = 8 * uniform_at(seed, (i % blobs) * d + t)
    at = 1_000_000 + 4 * (i * d + t)
    noise = (
        uniform_at(seed, at)
        + uniform_at(seed, at + 1)
        + uniform_at(seed, at + 2)
        + uniform_at(seed, at + 3)
        - 2
    )
    return (offset + place + spread * noise).astype(np.float32)


def number(value):
    return repr(float(value))


def array(name, values, kind="double"):
    values = np.asarray(values).ravel()
    text = [number(v) if kind == "double" else str(int(v)) for v in values]
    print(f"inline constexpr {kind} {name}[] = {{{', '.join(text)}}};")


def scalar(name, value, kind="double"):
    text = number(value) if kind == "double" else str(int(value))
    print(f"inline constexpr {kind} {name} = {text};")


def kmeans(name, points, centres, tol=1e-4, whole=True):
    # In fp64, on the values that C++ has in fp32.
    model = KMeans(len(centres), init=centres.astype(np.float64), n_init=1, tol=tol, max_iter=300)
    model.fit(points.astype(np.float64))
    scalar(f"k{name}Inertia", model.inertia_)
    scalar(f"k{name}Iterations", model.n_iter_, "int64_t")
    if whole:
        array(f"k{name}Centres", model.cluster_centers_)
        array(f"k{name}Labels", model.labels_, "int32_t")


def spherical_kmeans(name, points, centres):
    """Lloyd's algorithm on unit vectors, as it is in a textbook."""

    def unit(x):
        return x / np.linalg.norm(x, axis=1, keepdims=True)

    x = unit(points.astype(np.float64))
    c = unit(centres.astype(np.float64))
    labels = None
    while True:
        found = np.argmax(x @ c.T, axis=1)
        if labels is not None and np.array_equal(found, labels):
            break
        labels = found
        c = unit(np.stack([x[labels == j].sum(axis=0) for j in range(len(c))]))
    array(f"k{name}Centres", c)
    array(f"k{name}Labels", labels, "int32_t")
    scalar(f"k{name}Inertia", ((x - c[labels]) ** 2).sum())


class FromLabels(GaussianMixture):
    """Begins with the components of labels that are given."""

    def _initialize_parameters(self, X, random_state, xp=None):
        self._initialize(X, np.eye(self.n_components)[self.first_labels])


def mixture(name, points, labels, components, kind, new):
    model = FromLabels(components, covariance_type=kind)
    model.first_labels = labels
    x = points.astype(np.float64)
    model.fit(x)
    assert model.converged_
    scalar(f"k{name}LowerBound", model.lower_bound_)
    scalar(f"k{name}Iterations", model.n_iter_, "int64_t")
    array(f"k{name}Weights", model.weights_)
    array(f"k{name}Means", model.means_)
    array(f"k{name}Covariances", model.covariances_)
    array(f"k{name}Precisions", model.precisions_cholesky_)
    y = new.astype(np.float64)
    array(f"k{name}LogLikelihoods", model.score_samples(y))
    array(f"k{name}Labels", model.predict(y), "int32_t")
    array(f"k{name}Confidences", model.predict_proba(y).max(axis=1))


def scores(name, labels, classes):
    table = contingency_matrix(labels, classes)
    rows, columns = linear_sum_assignment(-table)
    accuracy = table[rows, columns].sum() / len(labels)
    purity = table.max(axis=1).sum() / len(labels)
    nmi = normalized_mutual_info_score(classes, labels)
    array(name, [accuracy, nmi, adjusted_rand_score(classes, labels), purity])


def drawn_labels(n, count, seed):
    return np.floor(uniform_at(seed, np.arange(n)) * count).astype(np.int64)


print("// Written by make_expected.py; do not edit.")
print(f"// scikit-learn {sklearn.__version__}, scipy {scipy.__version__}, numpy {np.__version__}")
print("#pragma once\n\n#include <cstdint>\n")
print("// clang-format off\n\nnamespace flexae::test::expected {\n")

blobs = made_points(200, 5, 4, 4, 1)
kmeans("Blobs", blobs, blobs[:4])
kmeans("Exact", blobs, blobs[:4], tol=0)
far = blobs[:4].copy()
far[2] = 500
far[3] = -500
kmeans("Empty", blobs, far)
offset = made_points(200, 5, 4, 4, 1, offset=1000)
kmeans("Offset", offset, offset[:4])
many = made_points(3000, 8, 50, 1.5, 2)
kmeans("Many", many, many[:70], tol=0, whole=False)
wide = made_points(1000, 70, 9, 4, 3)
kmeans("Wide", wide, wide[:40], tol=0, whole=False)
spherical_kmeans("Spherical", blobs - 4, blobs[:4] - 4)

mixed = made_points(240, 3, 3, 2.0, 4)
first = np.arange(240) % 3
first[::7] = 0
fresh = made_points(20, 3, 3, 2.5, 4)
for kind, name in (("full", "Full"), ("diag", "Diagonal"), ("tied", "Tied")):
    mixture(name, mixed, first, 3, kind, fresh)

labels = np.arange(200) % 4
labels[::9] = 1
labels[5] = 9
array("kSilhouettes", silhouette_samples(blobs.astype(np.float64), labels))
scalar("kSilhouette", silhouette_score(blobs.astype(np.float64), labels))

scores("kScoresOfUnrelated", drawn_labels(500, 6, 5), drawn_labels(500, 9, 6))
related = drawn_labels(500, 7, 7)
classes = related // 2
classes[::5] = drawn_labels(100, 3, 8)
scores("kScoresOfRelated", related, classes)
scores("kScoresOfEqual", related, 10 - related)
scores("kScoresOfOneLabel", np.zeros(500), classes)
scores("kScoresOfSingles", np.arange(500), classes)

costs = np.floor(uniform_at(9, np.arange(40 * 40)) * 1000).reshape(40, 40)
rows, columns = linear_sum_assignment(costs)
scalar("kLeastCost", costs[rows, columns].sum())

print("\n}  // namespace flexae::test::expected")
