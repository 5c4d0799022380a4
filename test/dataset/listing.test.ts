/** How far a listing is, and its end, by the code that lists. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import type { ListingPace, ListingProgress } from "../../ts/containers/listing.ts";
import { openSet } from "../../ts/dataset/open_set.ts";
import { root } from "../support/cli.ts";
import { containersIn, idxOf, npyOf, parquetOf, png, tarOf, zipOf } from "../support/containers.ts";

const { place, write } = containersIn();
/** Whatever is left of containers, in the cache. */
const cached = () => {
  try {
    return readdirSync(place("cache/containers"));
  } catch {
    return [];
  }
};

const ALWAYS: ListingPace = { after: 0, every: 0 };
const set = { name: "The set" };

/** Opens a set, and gives what was told meanwhile. */
async function told(name: string, pace?: ListingPace) {
  const events: ListingProgress[] = [];
  const onListing = (listing: ListingProgress) => events.push(listing);
  const { images } = await openSet(place(name), set, { onListing }, pace);
  return { images, events };
}

/** Opens a set, and ends that once its list is begun. */
async function endedOnceBegun(name: string, reason: Error): Promise<void> {
  const abort = new AbortController();
  const timer = setInterval(() => {
    if (cached().length > 0) abort.abort(reason);
  }, 0);
  try {
    await openSet(place(name), set, { signal: abort.signal });
  } finally {
    clearInterval(timer);
  }
}

const MEMBERS = 20_000;
const names = Array.from({ length: MEMBERS }, (_, i) => `${i % 10}/${i}.png`);
const image = Buffer.from("x");
/** Large enough that each format lets others have their turn. */
const LARGE: readonly (readonly [name: string, content: () => Uint8Array, images: number])[] = [
  ["a.tar", () => tarOf(names.map((name) => [name, image])), MEMBERS],
  ["a.tar.gz", () => gzipSync(tarOf(names.map((name) => [name, image])), { level: 1 }), MEMBERS],
  ["a.zip", () => zipOf(names.map((name) => ({ name, content: image, method: 0 }))), MEMBERS],
  ["a.npy", () => npyOf([200_000, 1, 1], Buffer.alloc(200_000)), 200_000],
  ["a-idx3-ubyte", () => idxOf([200_000, 1, 1], Buffer.alloc(200_000)), 200_000],
  [
    "a.parquet",
    () =>
      parquetOf([
        {
          name: "image",
          // More than are handed over at once.
          data: Array.from({ length: 20 }, (_, i) =>
            Buffer.concat([png(i), Buffer.alloc(4 << 20)]),
          ),
          type: "BYTE_ARRAY",
        },
      ]),
    20,
  ],
];

describe("how far a listing is", () => {
  it.each(LARGE)("is told of %s, up to all its images", async (name, content, count) => {
    write(name, content());
    const { images, events } = await told(name, ALWAYS);
    expect(images).toBe(count);
    expect(events.length).toBeGreaterThan(2);
    const first = events[0] as ListingProgress;
    expect(first).toMatchObject({ set: place(name), files: 1, filesDone: 0 });
    expect(first.images).toBeLessThan(count);
    for (const [i, event] of events.entries()) {
      const before = events[i - 1] ?? first;
      expect(event.images).toBeGreaterThanOrEqual(before.images);
      expect(event.share).toBeGreaterThan(0);
      expect(event.share).toBeLessThanOrEqual(1);
    }
    expect(events.at(-1)).toMatchObject({ files: 1, filesDone: 1, images: count, share: 1 });
    // Its list is kept: nothing is read through any more.
    expect((await told(name, ALWAYS)).events).toHaveLength(1);
  });

  it("counts the files of a pattern, a folder and a list", async () => {
    const shard = (i: number) => tarOf([[`${i}.png`, png(i)]]);
    for (let i = 0; i < 4; i++) write(`shards/train-${i}.tar`, shard(i));
    write("shards/notes.txt", "no images");
    const all = [1, 2, 3, 4].map((images) => ({ filesDone: images, images, share: images / 4 }));
    const pattern = "shards/train-{0..3}.tar";
    const { events } = await told(pattern, ALWAYS);
    expect(events).toEqual(all.map((event) => ({ set: place(pattern), files: 4, ...event })));
    // What else lies there is no file of images, which turns out when it is looked at.
    const folder = (await told("shards", ALWAYS)).events;
    expect(folder.at(-1)).toEqual({ set: place("shards"), files: 4, ...all.at(-1) });
    write("list.txt", [0, 2].map((i) => `shards/train-${i}.tar/${i}.png\n`).join(""));
    const listed = (await told("list.txt", ALWAYS)).events;
    expect(listed.map(({ files, filesDone }) => [files, filesDone])).toEqual([
      [2, 1],
      [2, 2],
    ]);
  });

  it("is of one set after the other", async () => {
    for (const name of ["a", "b"]) write(`${name}.tar`, tarOf([[`${name}.png`, png(1)]]));
    const events: ListingProgress[] = [];
    const given = `${place("a.tar")}:0.5,${place("b.tar")}:0.5`;
    await openSet(given, set, { onListing: (event) => events.push(event) }, ALWAYS);
    expect(events.map(({ set, images }) => [set, images])).toEqual([
      [place("a.tar"), 1],
      [place("b.tar"), 1],
    ]);
  });

  it("is told no more often than it should be, and of a small set not at all", async () => {
    write("a.tar", tarOf(names.map((name) => [name, image])));
    const { events } = await told("a.tar", { after: 0, every: 3_600_000 });
    expect(events).toHaveLength(1);
    write("b.tar", tarOf([["1.png", png(1)]]));
    expect((await told("b.tar")).events).toEqual([]);
  });

  it("is told of a folder", async () => {
    mkdirSync(place("folder/a"), { recursive: true });
    for (let i = 0; i < 3000; i++) writeFileSync(join(place("folder/a"), `${i}.png`), "");
    const { images, events } = await told("folder", ALWAYS);
    expect([images, events.at(-1)]).toEqual([
      3000,
      { set: place("folder"), files: 0, filesDone: 0, images: 3000, share: null },
    ]);
  });
});

describe("a listing that is ended", () => {
  it.each(LARGE)("leaves nothing of %s, and gives the reason", async (name, content) => {
    write(name, content());
    const abort = new AbortController();
    const reason = new Error("enough");
    // Whoever is told ends it; and so does whoever has a turn in between.
    const onListing = () => abort.abort(reason);
    const options = { signal: abort.signal, onListing };
    await expect(openSet(place(name), set, options, ALWAYS)).rejects.toBe(reason);
    expect(cached()).toEqual([]);
    await expect(endedOnceBegun(name, reason)).rejects.toBe(reason);
    expect(cached()).toEqual([]);
  });

  it("does not wait for what reads a Parquet file", async () => {
    const seed = join(root, "native/fuzz/seeds/containers/found-parquet-endless");
    write("a.parquet", readFileSync(seed));
    const reason = new Error("enough");
    await expect(endedOnceBegun("a.parquet", reason)).rejects.toBe(reason);
    expect(cached()).toEqual([]);
  });

  it("is not begun where it was ended before", async () => {
    write("a.tar", tarOf([["1.png", png(1)]]));
    mkdirSync(place("folder"));
    writeFileSync(place("folder/1.png"), png(1));
    const signal = AbortSignal.abort(new Error("enough"));
    for (const name of ["a.tar", "folder", "*.tar"]) {
      await expect(openSet(place(name), set, { signal }), name).rejects.toThrow("enough");
    }
    expect(cached()).toEqual([]);
  });
});
