#!/usr/bin/env node
// Writes the seeds of the fuzz targets: node native/fuzz/make_seeds.mjs
// For images these are the kinds of BMP and TIFF that test/fixtures/images, which serve as well,
// lack. Those of models are the smallest runs there can be (--filters 1 --dims 1 and --mlp false).
// What the fuzzers found lies beside them, under the names `found-…`, and is not touched.

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const folder = path.join(path.dirname(fileURLToPath(import.meta.url)), "seeds");

function write(target, name, bytes) {
  mkdirSync(path.join(folder, target), { recursive: true });
  writeFileSync(path.join(folder, target, name), bytes);
}

const network = {
  height: 28,
  width: 20,
  channels: 1,
  filters: [4, 8],
  pooling: ["avg", "max"],
  kernelSize: [5, 2],
  strides: [2, 1],
  activation: "elu",
  lastActivation: "selu",
  dropRate: 0.5,
  dims: [6, 3],
  mlp: true,
  useBias: true,
  kernelInitializer: "glorot_uniform",
  biasInitializer: "zeros",
  kernelRegularizer: { l1: 0, l2: 0.01 },
  biasRegularizer: { l1: 0, l2: 0 },
  activityRegularizer: { l1: 1e-4, l2: 0 },
  kernelConstraint: { name: "min_max_norm", minValue: 0, maxValue: 2, rate: 1 },
  biasConstraint: { name: "none" },
  cnnKernelInitializer: "orthogonal",
  cnnBiasInitializer: "zeros",
  cnnKernelRegularizer: { l1: 0, l2: 0 },
  batchNormMomentum: 0.99,
  batchNormEpsilon: 0.001,
};
write("config", "dense", JSON.stringify(network));
write("config", "without-dense", JSON.stringify({ ...network, mlp: false, channels: 3 }));
write(
  "config",
  "widest",
  JSON.stringify({
    ...network,
    height: 65536,
    width: 65536,
    filters: [1048576, 1048576],
    pooling: ["no", "no"],
    kernelSize: [255, 255],
    strides: [1, 1],
    dims: [1048576],
  }),
);
write("config", "words", '[null, true, -1.5e-3, "\\u00e9\\ud83d\\ude42\\n", {"a": [[[]]]}]');

/** A safetensors file; the fuzz target computes the checksum. */
function tensorFile(metadata, tensors) {
  const header = { __metadata__: { ...metadata, checksum: "00000000" } };
  const parts = [];
  let offset = 0;
  for (const [name, dtype, shape, bytes] of tensors) {
    header[name] = { dtype, shape, data_offsets: [offset, offset + bytes.length] };
    offset += bytes.length;
    parts.push(bytes);
  }
  const text = Buffer.from(JSON.stringify(header));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([size, text, ...parts]);
}

const floats = (...values) => Buffer.from(Float32Array.from(values).buffer);
const doubles = (...values) => Buffer.from(Float64Array.from(values).buffer);
const state = {
  format: "flexible-autoencoder checkpoint 2",
  epoch: "1",
  best_epoch: "1",
  best_loss: "0.5",
  wait: "0",
  last_checkpoint: "0",
  rewinds: "0",
  seconds: "1.5",
  batch: "0",
  images: "0",
  epoch_seconds: "0",
  iterations: "7",
  learning_rate: "0.001",
  config: "{}",
  settings: "{}",
};
const history = ["history", "F64", [1, 13], doubles(1, 0.5, 0, 0, 9, 0.5, 0, 0, 9, 1, 7, 1, 1)];
const weight = ["model.encoder.conv_0.weight", "F32", [1, 1, 1, 2], floats(1, 2)];
write("checkpoint", "between-epochs", tensorFile(state, [weight, history]));
write(
  "checkpoint",
  "within-an-epoch",
  tensorFile({ ...state, batch: "3", images: "96" }, [
    weight,
    ["best.encoder.conv_0.weight", "F32", [1, 1, 1, 2], floats(3, 4)],
    ["optimizer.m.encoder.conv_0.weight", "F32", [2], floats(5, 6)],
    history,
    ["epoch_metrics", "F64", [4], doubles(1, 2, 3, 4)],
  ]),
);
write(
  "checkpoint",
  "no-epoch",
  tensorFile({ ...state, epoch: "0", best_epoch: "0" }, [
    ["history", "F64", [0, 13], Buffer.alloc(0)],
    ["count", "I64", [1], Buffer.alloc(8, 1)],
    ["bytes", "U8", [3], Buffer.from([1, 2, 3])],
  ]),
);

/** An index of the cache: a value, a state and a length an image, then the reasons. */
function cacheIndex(entries, reasons) {
  const bytes = Buffer.alloc(1 + 16 * entries.length);
  bytes[0] = 1;
  for (const [i, [value, kind, length]] of entries.entries()) {
    bytes.writeBigUInt64LE(BigInt(value), 1 + 16 * i);
    bytes.writeUInt32LE(kind, 9 + 16 * i);
    bytes.writeUInt32LE(length, 13 + 16 * i);
  }
  return Buffer.concat([bytes, Buffer.from(reasons)]);
}

write(
  "cache",
  "images",
  cacheIndex(
    [
      [1, 1, 0],
      [2, 1, 0],
      [0, 2, 10],
    ],
    "empty file",
  ),
);
write(
  "cache",
  "reasons",
  cacheIndex(
    [
      [0, 2, 3],
      [3, 2, 4],
      [0, 0, 0],
    ],
    "oneand more",
  ),
);
write(
  "cache",
  "nothing",
  cacheIndex(
    [
      [0, 0, 0],
      [0, 0, 0],
      [0, 0, 0],
    ],
    "",
  ),
);
const raw = Buffer.alloc(1 + 4096 + 64 + 48 + 4);
raw.write("FLXIMAGE", 1);
raw.writeUInt32LE(1, 9);
raw.writeUInt32LE(1, 13);
raw.writeUInt32LE(4, 17);
raw.writeUInt32LE(5, 21);
raw.fill("0123456789abcdef", 25, 57);
raw.writeBigUInt64LE(3n, 57);
raw.writeBigUInt64LE(4096n, 65);
raw.writeBigUInt64LE(4160n, 73);
raw.writeBigUInt64LE(4n, 81);
raw.writeBigUInt64LE(BigInt(raw.length - 1), 89);
write("cache", "whole-file", raw);

/** Bytes from numbers of 1, 2 or 4 bytes each, little-endian: [size, …values]. */
function numbers(...groups) {
  return Buffer.concat(
    groups.flatMap(([size, ...values]) =>
      values.map((value) => {
        const bytes = Buffer.alloc(size);
        if (value < 0) bytes.writeIntLE(value, 0, size);
        else bytes.writeUIntLE(value, 0, size);
        return bytes;
      }),
    ),
  );
}

/** A BMP: `header` is all that follows the size of its header. */
function bmp(name, header, colors, pixels) {
  const head = Buffer.concat([numbers([4, header.length + 4]), header]);
  const offset = 14 + head.length + colors.length;
  const start = numbers([1, 0x42, 0x4d], [4, offset + pixels.length, 0, offset]);
  write("image", `bmp-${name}`, Buffer.concat([start, head, colors, pixels]));
}

/** The header of 40 bytes without its size. */
const windows = (width, height, depth, compression, colors = 0) =>
  numbers([4, width, height], [2, 1, depth], [4, compression, 0, 0, 0, colors, 0]);
const shades = Buffer.from(Array.from({ length: 64 }, (_, i) => (i * 37) % 256));

bmp(
  "runs8",
  windows(6, 3, 8, 1, 16),
  shades,
  Buffer.from([6, 1, 0, 0, 0, 4, 1, 2, 3, 4, 2, 5, 0, 0, 0, 2, 2, 0, 3, 7, 0, 1]),
);
bmp(
  "runs4",
  windows(6, 3, 4, 2),
  shades,
  Buffer.from([6, 0x12, 0, 0, 0, 3, 0x12, 0x30, 0, 2, 1, 1, 2, 0x45, 0, 1]),
);
bmp("four-bits", windows(5, 2, 4, 0), shades, Buffer.alloc(8, 0x3a));
bmp("two-bits", windows(5, -2, 2, 0), shades.subarray(0, 16), Buffer.alloc(8, 0x1b));
bmp(
  "masks16",
  Buffer.concat([windows(3, 2, 16, 3), numbers([4, 0xf800, 0x7e0, 0x1f])]),
  Buffer.alloc(0),
  Buffer.alloc(16, 0x6b),
);
bmp(
  "masks32",
  Buffer.concat([windows(2, 2, 32, 3), numbers([4, 0x3ff00000, 0xffc00, 0x3ff, 0])]),
  Buffer.alloc(0),
  Buffer.alloc(16, 0x9d),
);
bmp("os2", numbers([2, 3, 2, 1, 1]), shades.subarray(0, 6), Buffer.alloc(8, 0xa5));

/** A TIFF of these tags, [tag, type, …values], and strips or tiles of raw bytes. */
function tiff(name, tags, blocks) {
  const sizes = { 1: 1, 3: 2, 4: 4 };
  const tiled = tags.some(([tag]) => tag === 322);
  const offsets = blocks.map(
    (_, i) => 8 + blocks.slice(0, i).reduce((sum, b) => sum + b.length, 0),
  );
  const entries = [
    ...tags,
    [tiled ? 324 : 273, 4, ...offsets],
    [tiled ? 325 : 279, 4, ...blocks.map((block) => block.length)],
  ].sort(([a], [b]) => a - b);
  const data = Buffer.concat(blocks);
  const start = 8 + data.length;
  const outside = [];
  let end = start + 2 + 12 * entries.length + 4;
  const directory = entries.map(([tag, type, ...values]) => {
    let bytes = numbers([sizes[type], ...values]);
    if (bytes.length > 4) {
      outside.push(bytes);
      end += bytes.length;
      bytes = numbers([4, end - bytes.length]);
    }
    return Buffer.concat([numbers([2, tag, type], [4, values.length]), bytes, Buffer.alloc(4)], 12);
  });
  const head = numbers([1, 0x49, 0x49], [2, 42], [4, start]);
  const count = numbers([2, entries.length]);
  write(
    "image",
    `tiff-${name}`,
    Buffer.concat([head, data, count, ...directory, Buffer.alloc(4), ...outside]),
  );
}

const SHORT = 3;
const base = (width, height, bits, photometric, samples) => [
  [256, SHORT, width],
  [257, SHORT, height],
  [258, SHORT, ...Array(samples).fill(bits)],
  [259, SHORT, 1],
  [262, SHORT, photometric],
  [277, SHORT, samples],
];
const noise = (length, seed) => Buffer.from(Array.from({ length }, (_, i) => (i * seed) % 251));
const sixteen = [
  [322, SHORT, 16],
  [323, SHORT, 16],
];
tiff(
  "tiles",
  [...base(20, 18, 8, 2, 3), ...sixteen, [274, SHORT, 6]],
  [3, 5, 7, 11].map((seed) => noise(768, seed)),
);
tiff("tiles16", [...base(17, 9, 16, 1, 1), ...sixteen], [noise(512, 13), noise(512, 17)]);
tiff(
  "planes",
  [...base(5, 4, 8, 2, 4), [284, SHORT, 2], [338, SHORT, 2]],
  [3, 5, 7, 11].map((seed) => noise(20, seed)),
);
tiff(
  "palette4",
  [...base(7, 3, 4, 3, 1), [320, SHORT, ...Array.from({ length: 48 }, (_, i) => i * 1300)]],
  [noise(12, 29)],
);
tiff(
  "ycbcr",
  [...base(6, 5, 8, 6, 3), [278, SHORT, 4], [530, SHORT, 2, 2]],
  [noise(36, 23), noise(18, 19)],
);
tiff("lab", base(4, 3, 8, 8, 3), [noise(36, 31)]);
tiff("reversed", [...base(9, 4, 1, 0, 1), [266, SHORT, 2]], [noise(8, 41)]);

/** An index of a container; the target completes its sums. See native/data/containers/index_file.cpp. */
function index(members, names, classes, { shape = [0, 0, 0], data = Buffer.alloc(0) } = {}) {
  const offset = 4096 * Math.ceil((4096 + data.length) / 4096);
  const slots = 8;
  const entries = Buffer.alloc(32 * members.length);
  for (const [i, member] of members.entries()) {
    entries.writeBigUInt64LE(BigInt(member.offset), 32 * i);
    entries.writeUInt32LE(member.length, 32 * i + 8);
    entries.writeUInt32LE(member.stored ?? 0, 32 * i + 12);
    entries.writeInt32LE(member.label ?? -1, 32 * i + 20);
    entries.writeUInt32LE(member.nameEnd, 32 * i + 24);
    entries.writeUInt8(member.form ?? 0, 32 * i + 28);
  }
  const table = Buffer.alloc(4 * slots, 255);
  for (const i of members.keys()) table.writeUInt32LE(i, 4 * i);
  const header = Buffer.alloc(offset);
  header.writeUInt32LE(data.length > 0 ? 1 : 0, 12);
  for (const [i, size] of shape.entries()) header.writeUInt32LE(size, 48 + 4 * i);
  const text = Buffer.from(names);
  const classText = Buffer.from(classes.map((name) => `${name}\0`).join(""));
  const counts = [offset, members.length, slots, text.length, classText.length];
  for (const [i, count] of counts.entries()) header.writeBigUInt64LE(BigInt(count), 72 + 8 * i);
  data.copy(header, 4096);
  return Buffer.concat([Buffer.from([1]), header, entries, table, text, classText]);
}
write(
  "index",
  "three-forms",
  index(
    [
      { offset: 1024, length: 13, nameEnd: 5, label: 0 },
      { offset: 0, length: 300, stored: 10, form: 1, nameEnd: 10, label: 1 },
      { offset: 100, length: 12, form: 2, nameEnd: 15 },
    ],
    "1.png2.png3.png",
    ["cats", "dogs"],
    { shape: [2, 2, 3] },
  ),
);
write(
  "index",
  "own-data",
  index([{ offset: 4096, length: 5, nameEnd: 1 }], "a", [], { data: Buffer.from("image") }),
);
