import { describe, expect, it } from "vitest";
import { areSameClasses, classesNamed, classesOfFolders } from "../../ts/dataset/classes.ts";

const namesOf = (names: string[]) => {
  const { names: classes, labels, kept, loose } = classesOfFolders(names);
  return { classes, each: [...labels].map((label) => classes[label]), kept, loose };
};

describe("classes of the folders that images lie in", () => {
  it("are the first folders that differ, at any depth below", () => {
    expect(namesOf(["cats/1.png", "cats/old/2.png", "dogs/3.png"])).toEqual({
      classes: ["cats", "dogs"],
      each: ["cats", "cats", "dogs"],
      kept: null,
      loose: 0,
    });
    // Folders that all are in count for nothing, but for the last.
    expect(namesOf(["data/train/cats/1.png", "data/train/dogs/2.png"]).classes).toEqual([
      "cats",
      "dogs",
    ]);
    expect(namesOf(["data/1.png", "data/2.png"]).classes).toEqual(["data"]);
  });

  it("leave out what lies beside such folders, and are none where all does", () => {
    expect(namesOf(["0.png", "cats/1.png", "dogs/2.png", "z.png"])).toEqual({
      classes: ["cats", "dogs"],
      each: ["cats", "dogs"],
      kept: [1, 2],
      loose: 2,
    });
    expect(namesOf(["1.png", "2.png"])).toEqual({ classes: [], each: [], kept: null, loose: 0 });
    expect(namesOf([])).toEqual({ classes: [], each: [], kept: null, loose: 0 });
  });

  it("are ordered by their bytes", () => {
    expect(namesOf(["é/1", "b/1", "a/1", "Z/1"]).classes).toEqual(["Z", "a", "b", "é"]);
  });
});

it("two ways of naming are the same where they tell the same images apart", () => {
  const [folders, numbers] = [
    classesNamed(["a", "b", "a", "c"]),
    classesNamed(["0", "1", "0", "2"]),
  ];
  expect(areSameClasses(folders, numbers)).toBe(true);
  for (const others of [
    ["0", "1", "0", "1"],
    ["0", "1", "2", "3"],
    ["0", "1", "1", "2"],
    ["0", "1", "0"],
  ]) {
    expect(areSameClasses(folders, classesNamed(others)), `${others}`).toBe(false);
    expect(areSameClasses(classesNamed(others), folders), `${others}`).toBe(false);
  }
});
