#!/usr/bin/env node
// Feeds broken containers of images to what reads their lists:
//
//   node scripts/fuzz/containers.mjs SECONDS FOLDER [INPUT…]
//
// Inputs are containers of every format, changed: bytes anywhere, headers whose sums fit again, what
// is in a compressed one. A file may be refused, with an error of ours; one that is taken has images
// below itself, which can be read or not, and the same ones from the cache. Whatever else comes of it,
// such as much memory or time, is written to FOLDER, and ends this with 1. With INPUTs, those are
// tried as they are. The seed is printed, and FLEXAE_FUZZ_SEED takes it.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { loadAddon } from "../../dist/addon/loader.js";
import { openContainer } from "../../dist/containers/open_container.js";
import { encodeGrayPng } from "../setup/png.mjs";
import { changesOf, fuzzSeed } from "./changes.mjs";
import {
  idxOf,
  npyOf,
  parquetOf,
  paxMember,
  tarMember,
  tarOf,
  withTarSums,
  zipOf,
} from "./make_containers.mjs";

const [seconds, folder, ...inputs] = process.argv.slice(2);
const REFUSALS = ["FLEXAE_DATA", "FLEXAE_IO"];
const MOST_MS = 40_000;
const MOST_KILOBYTES = 1 << 20;
/** So many images of one are read. */
const READ = 20;

const seed = fuzzSeed();
const { random, pick, changeBytes } = changesOf(seed);

const png = (value) => Buffer.from(encodeGrayPng(Uint8Array.of(value), 1, 1));
const word = (text) => Buffer.from(text);
const pictures = [1, 2, 3].map(png);
const label = { names: ["cat", "dog"], _type: "ClassLabel" };
const huggingface = JSON.stringify({ info: { features: { label } } });
const shard = tarOf([
  ["cats/1.png", png(1)],
  ["cats/1.cls", word("0")],
  ["dogs/2.png", png(2)],
  ["dogs/2.json", word('{"label":"dog"}')],
]);

const seeds = {
  tar: shard,
  pax: Buffer.concat([
    paxMember({ path: "a/very/long/name.png", size: `${png(1).length}` }),
    tarMember({ name: "cut" }, png(1)),
    tarMember({ name: "././@LongLink", type: "L" }, word("another/name.png\0")),
    tarMember({ name: "cut" }, png(2)),
    tarMember({ name: "link.png", type: "1", link: "another/name.png" }),
    Buffer.alloc(1024),
  ]),
  "tar.gz": gzipSync(shard),
  zip: zipOf([
    { name: "cats/1.png", content: png(1) },
    { name: "cats/2.png", content: png(2), method: 8 },
    { name: "cats/2.cls", content: word("two"), method: 8 },
  ]),
  npy: npyOf([3, 2, 2, 3], Buffer.alloc(36, 5)),
  idx: idxOf([3, 2, 2], Buffer.alloc(12, 5)),
  "idx.gz": gzipSync(idxOf([3, 2, 2], Buffer.alloc(12, 5))),
  parquet: parquetOf([{ name: "image", data: pictures, type: "BYTE_ARRAY" }]),
  "parquet of classes": parquetOf(
    [
      { name: "img", data: [...pictures, null], type: "BYTE_ARRAY", nullable: true },
      { name: "path", data: ["a.png", "b/c.png", "", "d.png"], type: "STRING" },
      { name: "label", data: [0n, 1n, 1n, -1n], type: "INT64" },
    ],
    { kvMetadata: [{ key: "huggingface", value: huggingface }], rowGroupSize: 2 },
  ),
};

/** Those that take a thread each, and of which many end only when their time is over. */
const [slow, quick] = [true, false].map((isSlow) =>
  Object.keys(seeds).filter((name) => name.startsWith("parquet") === isSlow),
);
const SELDOM = 30;

/** Changes a container, or what is packed in it. */
function change(bytes) {
  const isGzip = bytes[0] === 0x1f && bytes[1] === 0x8b;
  if (isGzip && random(4) > 0) {
    try {
      return gzipSync(change(gunzipSync(bytes)));
    } catch {
      // It was changed before.
    }
  }
  if (random(6) === 0) {
    // The end, where zip and Parquet files have their lists.
    const from = Math.max(0, bytes.length - 1 - random(400));
    return Buffer.concat([bytes.subarray(0, from), changeBytes(bytes.subarray(from))]);
  }
  const changed = changeBytes(bytes);
  return random(4) > 0 ? withTarSums(changed) : changed;
}

const scratch = mkdtempSync(path.join(tmpdir(), "flexae-fuzz-"));
const file = path.join(scratch, "input");
process.env.FLEXAE_CACHE = path.join(scratch, "cache");

/** Images of what was taken: below the container, each once, each read or refused. */
async function readAll({ files }) {
  if (new Set(files).size !== files.length) return "a name is there twice";
  for (const image of files) {
    if (!image.startsWith(`${file}/`) || path.resolve(image) !== image) return `a path is ${image}`;
  }
  for (const image of files.slice(0, READ)) {
    try {
      await loadAddon().readImages([image]);
    } catch (error) {
      if (!REFUSALS.includes(error?.code)) return error?.stack ?? String(error);
    }
  }
  return undefined;
}

/** What is wrong with how an input was taken; undefined if nothing is. */
async function tried(bytes) {
  writeFileSync(file, bytes);
  const began = performance.now();
  try {
    const listing = await openContainer(file, "input");
    if (listing !== null) {
      const wrong = await readAll(listing);
      if (wrong !== undefined) return wrong;
      const again = await openContainer(file, "input");
      if (JSON.stringify(again) !== JSON.stringify(listing)) return "the cache has other images";
    }
  } catch (error) {
    if (!REFUSALS.includes(error?.code)) return error?.stack ?? String(error);
    if (error.message.split("\n").length > 2) return `three lines: ${error.message}`;
  }
  const took = performance.now() - began;
  if (took > MOST_MS) return `it took ${Math.round(took)} ms`;
  const kilobytes = process.resourceUsage().maxRSS;
  return kilobytes > MOST_KILOBYTES ? `it took ${kilobytes >> 10} MB` : undefined;
}

async function main() {
  for (const [name, bytes] of Object.entries(seeds)) {
    const wrong = await tried(bytes);
    if (wrong !== undefined) throw new Error(`${name}, as it is: ${wrong}`);
  }
  for (const input of inputs) {
    const wrong = await tried(readFileSync(input));
    if (wrong !== undefined) throw new Error(`${input}: ${wrong}`);
  }
  if (inputs.length > 0) return;
  console.log(`FLEXAE_FUZZ_SEED=${seed}`);
  const end = Date.now() + 1000 * Number(seconds);
  let count = 0;
  for (; Date.now() < end; count++) {
    if (count % 200 === 0) rmSync(process.env.FLEXAE_CACHE, { recursive: true, force: true });
    let bytes = seeds[pick(random(SELDOM) === 0 ? slow : quick)];
    for (let i = random(3); i >= 0; i--) bytes = change(bytes);
    const kept = path.join(folder, `containers-${seed}-${count}`);
    // Before it is tried: a reader that comes to no end, or runs out of memory, tells nothing.
    writeFileSync(kept, bytes);
    const wrong = await tried(bytes);
    if (wrong !== undefined) throw new Error(`${kept}: ${wrong}`);
    rmSync(kept);
  }
  console.log(`${count} inputs`);
}

try {
  await main();
} finally {
  rmSync(scratch, { recursive: true });
}
