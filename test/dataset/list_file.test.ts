import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readList } from "../../ts/dataset/list_file.ts";
import { openSet } from "../../ts/dataset/open_set.ts";
import { temporaryFolder } from "../support/cli.ts";

const LIST = { name: "The set" };

function written(name: string, content: string | Buffer): { folder: string; path: string } {
  const folder = temporaryFolder();
  const path = join(folder, name);
  writeFileSync(path, content);
  return { folder, path };
}

describe("a list of images", () => {
  // Its name says nothing: each is read as what it holds.
  const forms: [form: string, content: string][] = [
    ["text", "a.png\tcats\nb/c d.png\tdogs\n\n"],
    ["text of Windows", "a.png\tcats\r\nb/c d.png\tdogs\r\n"],
    ["CSV", 'id,path,class\n1,a.png,cats\n2,"b/c d.png",dogs\n'],
    ["CSV with a mark", "\ufefflabel,filename\ncats,a.png\ndogs,b/c d.png\n"],
    [
      "JSON Lines",
      '{"file":"a.png","label":"cats"}\n\n{"file":"b/c d.png","label":"dogs","x":1}\n',
    ],
  ];
  for (const [form, content] of forms) {
    it(`is read as ${form}`, async () => {
      const { folder, path } = written("list", content);
      expect(await readList(path, "the list")).toEqual([
        { file: join(folder, "a.png"), class: "cats", part: null },
        { file: join(folder, "b/c d.png"), class: "dogs", part: null },
      ]);
    });
  }

  it("may name no classes, and files anywhere", async () => {
    const { folder, path } = written("list.txt", "/far/away.png\n../beside.png\n# no remark.png\n");
    expect(await readList(path, "the list")).toEqual([
      { file: "/far/away.png", class: null, part: null },
      { file: join(folder, "../beside.png"), class: null, part: null },
      { file: join(folder, "# no remark.png"), class: null, part: null },
    ]);
  });

  it("says what is wrong with it, and in which line", async () => {
    const wrong: [content: string | Buffer, message: RegExp][] = [
      [Buffer.from([0x89, 0x50, 0x4e, 0x47, 0xff]), /neither a folder nor a list of images/],
      ["a\0b\n", /neither a folder nor a list of images: it is no text/],
      ["", /lists no images/],
      ["\n\n", /lists no images/],
      ["path,class\n", /lists no images/],
      ['{"path":"a.png"}\nnonsense\n', /Line 2 of .* is no JSON, as the first one is/],
      ['{"path":"a.png"}\n[]\n', /Expected an object in line 2/],
      ['{"name":"a.png"}\n', /names no file in line 1: expected path, file/],
      ["path,class\n,cats\n", /names no file in line 2/],
      ['path\n"a.png\n', /is no CSV file/],
      ["a.png\tcats\nb.png\n", /names classes, but none in line 2: name one in every line/],
      ['{"path":"a.png","class":["x"]}\n', /Expected a text or a number for the class in line 1/],
      [
        "a.png\nb.png\n",
        /The files that .* lists are not there, such as .*a\.png: its paths begin/,
      ],
    ];
    for (const [content, message] of wrong) {
      const { path } = written("list", content);
      await expect(openSet(path, LIST), String(content)).rejects.toMatchObject({
        code: "FLEXAE_DATA",
        message: expect.stringMatching(message),
      });
    }
  });

  it("is a set with its classes in order, named from the folder that has all", async () => {
    const folder = temporaryFolder();
    for (const name of ["b", "a", "lists"]) mkdirSync(join(folder, name));
    for (const name of ["b/1.png", "a/2.png"]) writeFileSync(join(folder, name), "");
    const inside = join(folder, "all.csv");
    writeFileSync(inside, "path,class\nb/1.png,10\na/2.png,9\nb/1.png,10\n");
    expect(await openSet(inside, LIST)).toMatchObject({
      source: { files: ["b/1.png", "a/2.png", "b/1.png"].map((name) => join(folder, name)) },
      classes: ["10", "9"],
      labels: Int32Array.from([0, 1, 0]),
      place: inside,
      root: folder,
    });
    const elsewhere = join(folder, "lists", "list.txt");
    writeFileSync(elsewhere, "../b/1.png\n../a/2.png\n");
    expect(await openSet(elsewhere, LIST)).toMatchObject({
      classes: [],
      labels: new Int32Array(),
      root: folder,
    });
  });
});

describe("a list of a set with weights", () => {
  it("names each image's part and what it weighs", async () => {
    const { path } = written("list.csv", "path,part,weight\na.png,0,0.5\nb.png,one,2\n");
    expect((await readList(path, "the list")).map(({ part }) => part)).toEqual([
      { name: "0", weight: 0.5 },
      { name: "one", weight: 2 },
    ]);
    for (const weight of ["0", "-1", "heavy", ""]) {
      const { path } = written("list.csv", `path,part,weight\na.png,0,${weight}\n`);
      await expect(readList(path, "the list"), weight).rejects.toThrow(
        "Expected a weight above 0 in line 2 of the list",
      );
    }
  });
});
