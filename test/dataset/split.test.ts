import { describe, expect, it } from "vitest";
import type { ImageSet } from "../../ts/dataset/image_set.ts";
import { splitSet } from "../../ts/dataset/split.ts";
import { chosenSeed, seededRandom } from "../support/random.ts";

function setOf(names: readonly string[], root = "/data"): ImageSet {
  const classes = [...new Set(names.map((name) => name.split("/")[0] as string))].sort();
  return {
    source: { files: names.map((name) => `${root}/${name}`) },
    images: names.length,
    classes,
    labels: Int32Array.from(names, (name) => classes.indexOf(name.split("/")[0] as string)),
    loose: 0,
    others: 0,
    place: root,
    root,
  };
}

const filesOf = (set: ImageSet) => (set.source as { files: string[] }).files;
const count = (length: number, name: string) =>
  Array.from({ length }, (_, i) => `${name}/${i}.png`);

describe("a set that is split", () => {
  it("gives a share of each class, in the order of the set, each image once", () => {
    const random = seededRandom(chosenSeed("a set that is split"));
    for (let round = 0; round < 20; round++) {
      const sizes = [10, 37, 200].map((most) => 4 + Math.floor(most * random()));
      const set = setOf(sizes.flatMap((size, i) => count(size, `class_${i}`)));
      const share = 0.15 + 0.7 * random();
      const seed = Math.floor(random() * 1e6);
      const { train, valid } = splitSet(set, share, seed);
      expect([...filesOf(train), ...filesOf(valid)].sort()).toEqual([...filesOf(set)].sort());
      for (const part of [train, valid]) {
        expect(part.images).toBe(filesOf(part).length);
        const all = filesOf(set);
        const positions = filesOf(part).map((file) => all.indexOf(file));
        expect(positions).toEqual([...positions].sort((a, b) => a - b));
        for (const [i, file] of filesOf(part).entries()) {
          expect(file).toContain(`/${part.classes[part.labels[i] as number]}/`);
        }
      }
      for (const [label, size] of sizes.entries()) {
        const taken = valid.labels.filter((other) => other === label).length;
        expect(taken).toBe(Math.round(share * size));
      }
      expect(filesOf(splitSet(set, share, seed).valid)).toEqual(filesOf(valid));
      expect(
        filesOf(
          splitSet(
            setOf(
              filesOf(set).map((file) => file.slice(6)),
              "/moved",
            ),
            share,
            seed,
          ).valid,
        ),
      ).toEqual(filesOf(valid).map((file) => file.replace("/data", "/moved")));
    }
  });

  it("keeps its parts as it grows, but for few", () => {
    const before = splitSet(setOf(count(1000, "a")), 0.2, 7);
    const after = splitSet(setOf(count(1100, "a")), 0.2, 7);
    const now = new Set(filesOf(after.valid));
    const moved = filesOf(before.valid).filter((file) => !now.has(file)).length;
    expect(moved).toBeLessThan(20);
    expect(filesOf(splitSet(setOf(count(1000, "a")), 0.2, 8).valid)).not.toEqual(
      filesOf(before.valid),
    );
  });

  it("says so if a part would be empty", () => {
    const few = setOf(count(3, "a"));
    expect(() => splitSet(few, 0.1, 1)).toThrow(/none of the 3 images validates: choose another/);
    expect(() => splitSet(few, 0.9, 1)).toThrow(/none of the 3 images is left to train on/);
  });
});
