import { describe, expect, it } from "vitest";
import { packColumns } from "../../ts/explore/columns.ts";
import { curveOrder } from "../../ts/explore/curve_order.ts";
import { Packer } from "../../ts/explore/pack.ts";
import { makeTable } from "../../ts/index.ts";
import { toCsv } from "../../web/explore/csv.ts";
import { Data, valueText } from "../../web/explore/data.ts";
import { PathSearch } from "../../web/explore/find.ts";
import { chosenSeed, seededRandom } from "../support/random.ts";

/** What a page makes of packed columns. */
function travel(
  table: ReturnType<typeof makeTable>,
  others: Parameters<typeof packColumns>[2] = [],
): Data {
  const packer = new Packer();
  const { length } = table.paths;
  const header = {
    title: "ä title",
    note: "",
    rows: length,
    x: packer.add(new Float32Array(length)),
    y: packer.add(new Float32Array(length)),
    columns: packColumns(packer, table, others),
    paths: packer.addTexts(table.paths),
    neighbours: { by: "map", count: 0, rows: null },
    thumbnails: null,
    hasImages: false,
  };
  const bytes = Buffer.concat(packer.finish(header));
  return new Data(new Uint8Array(bytes).buffer);
}

const PATHS = ["a.png", "ä/日本.png", "", "x\0y.png", '"q", r\n.png'];

describe("what travels to the page", () => {
  const table = makeTable(new Float32Array(10), 2, {
    paths: PATHS,
    classes: ["10", "9", null, "10", "2"],
    losses: Float32Array.from([0.1, 0.2, 0.3, 0.4, 1e-8]),
    bytes: Int32Array.from([1, 2 ** 31 - 1, 3, 4, 5]),
  });
  const remark = ["one", "two", "three", "four", "five"];
  const data = travel(table, [
    { name: "cluster", values: [3, 1, 1, null, 10] },
    { name: "score", values: [3, 1, 1, null, 10] },
    { name: "remark", values: [...remark.slice(0, 4), null] },
    { name: "empty", values: [null, null, null, null, null] },
  ]);
  const column = (name: string) => {
    const found = data.columns.find((one) => one.name === name);
    if (found === undefined) throw new Error(name);
    return found;
  };
  const texts = (name: string) => PATHS.map((_, row) => valueText(column(name), row));

  it("has paths as they are, but for zeros", () => {
    const expected = PATHS.map((path) => path.replace("\0", "\ufffd"));
    expect(PATHS.map((_, row) => data.path(row))).toEqual(expected);
    expect(data.header.title).toBe("ä title");
  });

  it("has columns by what they hold, in exact numbers", () => {
    expect(data.columns.map(({ name, kind }) => [name, kind])).toEqual([
      ["class", "category"],
      ["loss", "number"],
      ["bytes", "number"],
      ["cluster", "category"],
      ["score", "number"],
      ["remark", "category"],
    ]);
    expect(texts("class")).toEqual(["10", "9", "", "10", "2"]);
    expect(column("class")).toMatchObject({ names: ["2", "9", "10"] });
    expect(texts("loss")).toEqual(["0.1", "0.2", "0.3", "0.4", "1e-8"]);
    expect(texts("bytes")[1]).toBe("2147483647");
    expect(texts("cluster")).toEqual(["3", "1", "1", "", "10"]);
    expect(texts("score")).toEqual(["3", "1", "1", "", "10"]);
    expect(texts("remark")).toEqual(["one", "two", "three", "four", ""]);
  });

  it("takes texts of their own for no categories", () => {
    const paths = Array.from({ length: 200 }, (_, i) => `${i}.png`);
    const many = makeTable(new Float32Array(200), 1, { paths });
    const sums = paths.map((path) => `sum of ${path}`);
    const [only] = travel(many, [{ name: "note", values: sums }]).columns;
    expect(only).toMatchObject({ name: "note", kind: "text" });
    expect(valueText(only as NonNullable<typeof only>, 199)).toBe("sum of 199.png");
  });

  it("keeps numbers that single precision has not", () => {
    const paths = ["a", "b", "c"];
    const three = makeTable(new Float32Array(3), 1, { paths });
    const data = travel(three, [
      { name: "time", values: [1700000000.25, 1700000000.5, null] },
      { name: "small", values: [1e-50, 0.1, 3] },
    ]);
    const texts = (i: number) =>
      paths.map((_, row) => valueText(data.columns[i] as (typeof data.columns)[number], row));
    expect(texts(0)).toEqual(["1700000000.25", "1700000000.5", ""]);
    expect(texts(1)).toEqual(["1e-50", "0.1", "3"]);
  });

  it("has classes as groups however many there are", () => {
    const paths = Array.from({ length: 100 }, (_, i) => `${i}.png`);
    const classes = paths.map((_, i) => `class ${i % 70}`);
    const [column] = travel(makeTable(new Float32Array(100), 1, { paths, classes })).columns;
    expect(column).toMatchObject({ kind: "category", name: "class" });
  });

  it("is found by paths, each once", () => {
    const search = new PathSearch(data);
    expect(search.find("PNG", 3)).toEqual({ rows: [0, 1, 3], count: 4 });
    expect(search.find("Ä/日", 10)).toEqual({ rows: [1], count: 1 });
    expect(search.find("g\0ä", 10)).toEqual({ rows: [], count: 0 });
    expect(search.find("", 10)).toEqual({ rows: [], count: 0 });
    expect(search.find('"Q", R', 10)).toEqual({ rows: [4], count: 1 });
  });

  it("is saved as CSV that other readers take", async () => {
    const { parse } = await import("csv-parse/sync");
    const records = parse(await toCsv(data, [4, 1]).text(), { columns: true });
    expect(records).toEqual([
      {
        path: '"q", r\n.png',
        class: "2",
        loss: "1e-8",
        bytes: "5",
        cluster: "10",
        score: "10",
        remark: "",
      },
      {
        path: "ä/日本.png",
        class: "9",
        loss: "0.2",
        bytes: "2147483647",
        cluster: "1",
        score: "1",
        remark: "two",
      },
    ]);
  });
});

describe("the order of thumbnails on sheets", () => {
  it("gives each point a place, near those of points near by", () => {
    const random = seededRandom(chosenSeed("places on sheets"));
    const rows = 10_000;
    const [x, y] = [0, 1].map(() =>
      Float32Array.from({ length: rows }, () => 2 * random() - 1),
    ) as [Float32Array, Float32Array];
    const places = curveOrder(x, y);
    expect(new Set(places).size).toBe(rows);
    const order = new Uint32Array(rows);
    for (const [row, place] of places.entries()) order[place] = row;
    // Of 256 that follow each other: a square of such an area has a side of 0.32.
    const extents: number[] = [];
    for (let from = 0; from + 256 <= rows; from += 256) {
      const some = order.subarray(from, from + 256);
      const extent = (of: Float32Array) => {
        const values = Array.from(some, (row) => of[row] as number);
        return Math.max(...values) - Math.min(...values);
      };
      extents.push(Math.max(extent(x), extent(y)));
    }
    extents.sort((a, b) => a - b);
    expect(extents[extents.length >> 1]).toBeLessThan(0.7);
    expect(extents[0]).toBeGreaterThan(0.2);
  });

  it("takes points at the edges, and of one place", () => {
    expect([...curveOrder(Float32Array.from([1, -1, 1]), Float32Array.from([1, -1, 1]))]).toEqual([
      1, 0, 2,
    ]);
  });
});
