"""Times k-means here, in scikit-learn and in faiss: same points, same first centres, in turns.

    python native/bench/kmeans/compare.py build-core/Release/flexae_kmeans_bench N D K [options]

Needs scikit-learn and faiss. Prints a line of JSON a round and the ratios of the medians. faiss has
no tolerance; it does as many iterations as scikit-learn did.
"""

import argparse
import json
import statistics
import subprocess
import tempfile
import time

import faiss
import numpy as np
from sklearn.cluster import KMeans

parser = argparse.ArgumentParser()
parser.add_argument("program")
parser.add_argument("points", type=int)
parser.add_argument("width", type=int)
parser.add_argument("clusters", type=int)
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--iterations", type=int, default=300)
parser.add_argument("--spread", type=float, default=0.5)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--seeding", action="store_true", help="with k-means++; without faiss")
given = parser.parse_args()
n, d, k = given.points, given.width, given.clusters

faiss.omp_set_num_threads(given.threads)
random = np.random.default_rng(0)
places = random.standard_normal((k, d), np.float32)
points = places[np.arange(n) % k]
points += np.float32(given.spread) * random.standard_normal((n, d), np.float32)
centres = points[random.choice(n, k, replace=False)]


def ours():
    command = [given.program, "--points", n, "--width", d, "--clusters", k, "--data", folder + "/x"]
    command += ["--iterations", given.iterations, "--threads", given.threads]
    if not given.seeding:
        command += ["--centres", folder + "/c"]
    done = subprocess.run([str(part) for part in command], capture_output=True, check=True)
    result = json.loads(done.stdout)
    return result["seconds"], result["iterations"], result["inertia"]


def sklearn():
    first = "k-means++" if given.seeding else centres
    model = KMeans(k, init=first, n_init=1, max_iter=given.iterations, random_state=0)
    begin = time.perf_counter()
    model.fit(points)
    return time.perf_counter() - begin, model.n_iter_, float(model.inertia_)


def by_faiss(iterations):
    model = faiss.Kmeans(d, k, niter=iterations, max_points_per_centroid=n, nredo=1)
    begin = time.perf_counter()
    model.train(points, init_centroids=centres)
    distances, _ = model.index.search(points, 1)
    return time.perf_counter() - begin, iterations, float(distances.sum(dtype=np.float64))


with tempfile.TemporaryDirectory() as folder:
    points.tofile(folder + "/x")
    centres.tofile(folder + "/c")
    times = {"flexae": [], "scikit-learn": [], "faiss": []}
    for _ in range(given.rounds):
        found = {"flexae": ours(), "scikit-learn": sklearn()}
        if not given.seeding:
            found["faiss"] = by_faiss(found["scikit-learn"][1])
        for name, result in found.items():
            times[name].append(result[0])
        print(json.dumps({k: [round(float(v), 4) for v in r] for k, r in found.items()}), flush=True)

medians = {name: statistics.median(values) for name, values in times.items() if values}
ratios = {name: round(medians[name] / medians["flexae"], 2) for name in medians}
print(json.dumps({"seconds": {k: round(v, 4) for k, v in medians.items()}, "ratios": ratios}))
