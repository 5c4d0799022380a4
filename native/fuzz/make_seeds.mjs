#!/usr/bin/env node
// Writes the seeds of the fuzz targets but for images, which are test/fixtures/images, and models, which are those of
// the smallest runs there can be (--filters 1 --dims 1 and --mlp false): node native/fuzz/make_seeds.mjs
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
