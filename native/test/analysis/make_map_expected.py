"""Writes map_expected.h, what scikit-learn and umap-learn compute for points that tests draw.

    python make_map_expected.py > map_expected.h

The points are those of map_points.h.
"""

import numpy as np
import sklearn
import umap
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness
from sklearn.neighbors import NearestNeighbors
from umap.umap_ import find_ab_params, fuzzy_simplicial_set, smooth_knn_dist


def uniform(count, salt):
    x = np.arange(count, dtype=np.uint64) + np.uint64((salt << 40) + 0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((x ^ (x >> np.uint64(31))) >> np.uint64(40)).astype(np.float64) * 2.0**-24


def uniform_points(count, width, salt, stretched=False):
    values = uniform(count * width, salt).reshape(count, width)
    return (values * (np.arange(width) + 1 if stretched else 1)).astype(np.float32)


def blob_points(count, width, blobs, salt):
    centres = uniform(blobs * width, salt).reshape(blobs, width)
    noise = uniform(count * width * 3, salt + 1).reshape(count, width, 3)
    noise = (noise[..., 0] + noise[..., 1]) + noise[..., 2]
    return (20 * centres[np.arange(count) % blobs] + noise).astype(np.float32)


def table(name, values, digits=12):
    numbers = [f"{v:.{digits}g}" for v in np.asarray(values, dtype=np.float64).ravel()]
    lines, line = [], "   "
    for number in numbers:
        if len(line) + len(number) + 2 > 100:
            lines.append(line)
            line = "   "
        line += f" {number},"
    lines.append(line)
    print(f"inline constexpr double {name}[] = {{")
    print("\n".join(lines))
    print("};\n")


def with_self(points, k):
    """The k nearest, the point itself first, as umap-learn wants them."""
    found = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(points.astype(np.float64))
    distances, indices = found.kneighbors()
    count = np.arange(len(points))[:, None]
    distances = np.hstack([np.zeros((len(points), 1)), distances[:, : k - 1]])
    return np.hstack([count, indices[:, : k - 1]]), distances.astype(np.float32)


print("#pragma once\n")
print("// Written by make_map_expected.py")
print(f"// with scikit-learn {sklearn.__version__}, umap-learn {umap.__version__}.\n")
print("// clang-format off\n")
print("namespace flexae::test {\n")

# pca_test.cpp
points = uniform_points(60, 5, 1, stretched=True)
pca = PCA(3).fit(points.astype(np.float64))
table("kPcaMean", pca.mean_)
table("kPcaComponents", pca.components_)
table("kPcaVariance", pca.explained_variance_)
table("kPcaVarianceRatio", pca.explained_variance_ratio_)
table("kPcaTransformed", pca.transform(points.astype(np.float64))[:6])

# neighbours_test.cpp
points = uniform_points(50, 4, 2)
for name, metric in (("Euclidean", "euclidean"), ("Cosine", "cosine")):
    found = NearestNeighbors(n_neighbors=4, metric=metric, algorithm="brute")
    distances, indices = found.fit(points.astype(np.float64)).kneighbors()
    table(f"k{name}Neighbours", indices)
    table(f"k{name}Distances", distances)

# fuzzy_graph_test.cpp
indices, distances = with_self(uniform_points(40, 4, 3), 10)
for name, connectivity in (("0", 0.0), ("1", 1.0), ("1_5", 1.5)):
    sigma, rho = smooth_knn_dist(distances, 10.0, local_connectivity=connectivity)
    table(f"kSigma{name}", sigma, 9)
    table(f"kRho{name}", rho, 9)
points = uniform_points(20, 3, 4)
indices, distances = with_self(points, 6)
for name, mix in (("", 1.0), ("Mixed", 0.25)):
    graph, _, _ = fuzzy_simplicial_set(
        points, 6, np.random.RandomState(0), "euclidean", knn_indices=indices,
        knn_dists=distances, set_op_mix_ratio=mix,
    )
    table(f"kFuzzyGraph{name}", graph.toarray(), 8)

# umap_curve_test.cpp: min_dist, spread, a, b
curves = ((0.1, 1.0), (0.0, 1.0), (0.5, 1.0), (0.99, 1.0), (0.25, 2.5))
table("kCurves", [(d, s, *find_ab_params(s, d)) for d, s in curves], 9)

# trustworthiness_test.cpp
points = uniform_points(150, 6, 5)
for name, metric in (("Euclidean", "euclidean"), ("Cosine", "cosine")):
    table(
        f"kTrustworthiness{name}",
        [
            trustworthiness(points.astype(np.float64), points[:, :2].astype(np.float64),
                            n_neighbors=k, metric=metric)
            for k in (1, 5, 12, 74)
        ],
        15,
    )

# umap_test.cpp: the mean of three seeds
for name, points in (
    ("Blobs", blob_points(500, 10, 5, 6)),
    ("Roll", uniform_points(700, 3, 8)),
):
    scores = []
    for seed in range(3):
        embedded = umap.UMAP(random_state=seed, n_jobs=1).fit_transform(points)
        scores.append(trustworthiness(points, embedded, n_neighbors=15))
    table(f"kUmapTrustworthiness{name}", [np.mean(scores)], 6)

print("}  // namespace flexae::test")
