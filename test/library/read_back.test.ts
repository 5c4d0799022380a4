import { open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ModelWeight } from "../../ts/addon/types.ts";
import {
  addWeight,
  checkWeight,
  groupOf,
  type Place,
  readHdf5,
  writeHdf5,
} from "../../ts/export/hdf5.ts";
import { checkPieces } from "../../ts/export/read_back.ts";
import { temporaryFolder } from "../support/cli.ts";

describe("a file that was written from pieces", () => {
  const pieces = [Buffer.from("head"), new Uint8Array(3 << 20).fill(7), Buffer.from("end")];

  it("holds them and nothing else", async () => {
    const path = join(temporaryFolder(), "file");
    const bytes = Buffer.concat(pieces);
    const check = async (content: Uint8Array) => {
      await writeFile(path, content);
      await checkPieces(path, pieces);
    };
    await expect(check(bytes)).resolves.toBeUndefined();
    await expect(check(bytes.subarray(1))).rejects.toThrow(/what begins at byte 0 differs/);
    await expect(check(bytes.subarray(0, -1))).rejects.toThrow(/what begins at byte 3145732/);
    await expect(check(Buffer.concat([bytes, bytes]))).rejects.toThrow(/its length differs/);
    const changed = Buffer.from(bytes);
    changed[(2 << 20) + 5] = 8;
    await expect(check(changed)).rejects.toThrow(/what begins at byte 4 differs/);
  });
});

describe("weights in HDF5", () => {
  let place: Place;
  beforeEach(async () => {
    const path = join(temporaryFolder(), "file.h5");
    // Behind something else, as in a zip file.
    place = { path, handle: await open(path, "wx+"), offset: 1000 };
  });
  afterEach(() => place.handle.close());

  const weight = (name: string, shape: number[]): ModelWeight => {
    const count = shape.reduce((a, b) => a * b);
    const values = Float32Array.from({ length: count }, (_, i) => Math.sin(i));
    return { name, trained: true, shape, values };
  };

  it("are compared with the model's, whatever part of them differs", async () => {
    // The matrix is compared in several parts.
    const weights = [
      weight("bias", [5]),
      weight("dense", [1000, 700]),
      weight("conv", [3, 4, 2, 2]),
    ];
    const length = await writeHdf5(place, (opened) => {
      const group = groupOf(groupOf(opened.file, "a"), "b");
      for (const each of weights) addWeight(opened, group, each.name, each);
    });
    const check = (given: ModelWeight, name = given.name) =>
      readHdf5(place, length, (opened) => {
        checkWeight(opened, `a/b/${name}`, given);
      });
    for (const each of weights) {
      await expect(check(each)).resolves.toBeUndefined();
      for (const at of [0, each.values.length >> 1, each.values.length - 1]) {
        const values = Float32Array.from(each.values);
        values[at] = (values[at] as number) + 1;
        await expect(check({ ...each, values })).rejects.toThrow(
          new RegExp(`file\\.h5 does not hold what was exported: ${each.name} differs`),
        );
      }
      await expect(check(each, "other")).rejects.toThrow(/differs/);
    }
    await expect(check(weight("dense", [700, 1000]))).rejects.toThrow(/dense differs/);
  });

  it("stay an error of the system where the disk refuses them", async () => {
    const reading = await open(place.path, "r");
    try {
      const writing = writeHdf5({ ...place, handle: reading }, (opened) => {
        addWeight(opened, groupOf(opened.file, "a"), "w", weight("w", [300, 300]));
      });
      await expect(writing).rejects.toMatchObject({ code: expect.stringMatching(/^E/) });
    } finally {
      await reading.close();
    }
    // The library is none the worse for it.
    const length = await writeHdf5(place, ({ file }) => void groupOf(file, "a"));
    await readHdf5(place, length, ({ file }) => expect(file.keys()).toEqual(["a"]));
  });
});
