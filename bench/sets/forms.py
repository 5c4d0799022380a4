"""The images of a folder in every form that is read: tar, zip, Parquet, IDX and npy.

    python forms.py FOLDER OUT
"""

from __future__ import annotations

import gzip
import struct
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image


def main() -> None:
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir()
    files = sorted(folder.rglob("*.*"))
    with tarfile.open(out / "images.tar", "w") as tar:
        for file in files:
            tar.add(file, str(file.relative_to(folder)))
    for name, how in (("stored", zipfile.ZIP_STORED), ("deflated", zipfile.ZIP_DEFLATED)):
        with zipfile.ZipFile(out / f"{name}.zip", "w", how) as archive:
            for file in files:
                archive.write(file, str(file.relative_to(folder)))
    images = [{"bytes": file.read_bytes(), "path": file.name} for file in files]
    pq.write_table(pa.table({"image": pa.array(images)}), out / "images.parquet")
    pixels = np.stack([np.asarray(Image.open(file).convert("L")) for file in files])
    np.save(out / "images.npy", pixels)
    with gzip.open(out / "train-images-idx3-ubyte.gz", "wb", compresslevel=1) as idx:
        idx.write(struct.pack(">IIII", 0x803, *pixels.shape) + pixels.tobytes())


if __name__ == "__main__":
    main()
