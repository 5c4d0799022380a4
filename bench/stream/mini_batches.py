"""Clusters parts of a table by scikit-learn's MiniBatchKMeans, and writes which row is in which.

    python mini_batches.py FOLDER CLUSTERS fit|partial_fit

`fit` has all rows in memory; `partial_fit` takes the parts in a drawn order, in batches, twice.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from sklearn.cluster import MiniBatchKMeans

BATCH = 4096
PASSES = 2


def embeddings_of(part: Path) -> np.ndarray:
    lists = pa.parquet.read_table(part, columns=["embedding"])["embedding"].combine_chunks()
    return lists.flatten().to_numpy().reshape(len(lists), -1)


def main(folder: str, clusters: int, how: str) -> None:
    parts = sorted(Path(folder).glob("*.parquet"))
    model = MiniBatchKMeans(clusters, batch_size=BATCH, n_init=3, random_state=0)
    if how == "fit":
        model.fit(np.concatenate([embeddings_of(part) for part in parts]))
    else:
        rng = np.random.default_rng(0)
        for _ in range(PASSES):
            for part in rng.permutation(parts):
                points = embeddings_of(part)
                for begin in range(0, len(points), BATCH):
                    model.partial_fit(points[begin : begin + BATCH])
    inertia = 0.0
    writer = None
    for part in parts:
        points = embeddings_of(part)
        labels = model.predict(points)
        squared = ((points - model.cluster_centers_[labels]) ** 2).sum(1)
        inertia += float(squared.sum(dtype=np.float64))
        table = pa.parquet.read_table(part, columns=["path", "class"])
        table = table.append_column("cluster", pa.array(labels, pa.int32()))
        table = table.append_column("distance", pa.array(np.sqrt(squared), pa.float32()))
        writer = writer or pa.parquet.ParquetWriter("python.parquet", table.schema)
        writer.write_table(table)
    writer.close()
    print(json.dumps({"inertia": inertia}))


main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
