/** The linters of the order of rooms and of circles, on made-up trees and on this one. */
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findWrongTurns } from "../../scripts/lint/rooms.mjs";
import { root } from "../../scripts/setup/paths.mjs";

let tree: string;
beforeEach(() => {
  tree = mkdtempSync(path.join(tmpdir(), "flexae-rooms-"));
});
afterEach(() => rmSync(tree, { recursive: true, force: true }));

function write(name: string, ...lines: string[]): void {
  const file = path.join(tree, name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, `${lines.join("\n")}\n`);
}

const wrong = () => findWrongTurns(tree) as string[];

test("this repository keeps the order", () => {
  expect(findWrongTurns(root)).toEqual([]);
});

test("an include that goes up is named with its file, its line and the rule", () => {
  write("native/core/base/error.h", "#pragma once");
  write("native/core/tensor/gradient.h", "#pragma once", '#include "core/base/error.h"');
  expect(wrong()).toEqual([]);

  write(
    "native/core/base/math.h",
    "#pragma once",
    "",
    "#include <cstdint>",
    '#include "core/tensor/gradient.h"',
  );
  expect(wrong()).toEqual([
    expect.stringMatching(
      /^native\/core\/base\/math\.h:4: from base up to tensor .*; the order is base < files < /,
    ),
  ]);
});

test("a room in a room is one of its own, and a relative include is followed", () => {
  write("native/core/cpu/gemm.h", '#include "kernels/kernels.h"');
  write("native/core/cpu/kernels/kernels.h", "#pragma once");
  write("native/core/cpu/kernels/isa/avx2.cpp", '#include "../kernels.h"');
  expect(wrong()).toEqual([]);

  write("native/core/cpu/kernels/isa/avx2.cpp", '  #  include "../../gemm.h"');
  expect(wrong()).toEqual([
    expect.stringMatching(/^native\/core\/cpu\/kernels\/isa\/avx2\.cpp:1: from cpu\/kernels up/),
  ]);
});

test("a missing file is judged by its path, and angle brackets are no way round", () => {
  write("native/core/base/json.cpp", '#include "core/train/trainer.h"', "#include <core/spec/a.h>");
  expect(wrong()).toEqual([
    expect.stringMatching(/^native\/core\/base\/json\.cpp:1: from base up to train /),
    expect.stringMatching(/^native\/core\/base\/json\.cpp:2: from base up to spec /),
  ]);
});

test("a file in no room is named", () => {
  write("native/core/attic.h", "#pragma once");
  expect(wrong()).toEqual([expect.stringMatching(/^native\/core\/attic\.h:1: lies in no room/)]);
});

test.each([
  ["native/core/base/a.h", "#include <napi.h>", "native/core includes no Node-API"],
  ["native/core/base/a.h", "#include <opencv2/core.hpp>", "native/core includes no OpenCV"],
  ["native/analysis/a.h", "#include <node_api.h>", "native/analysis includes no Node-API"],
  ["native/analysis/a.h", '#include "opencv2/core.hpp"', "native/analysis includes no OpenCV"],
  ["native/data/formats/a.h", "#include <napi.h>", "native/data includes no Node-API"],
  ["native/core/base/a.h", '#include "data/b.h"', "native/core includes nothing besides itself"],
  [
    "native/data/formats/a.h",
    '#include "analysis/b.h"',
    "native/data includes native/core besides itself",
  ],
  [
    "native/data/formats/a.h",
    '#include "addon/handles/b.h"',
    "native/data includes native/core besides",
  ],
  ["native/core/base/a.h", '#include "test/probe.h"', "belongs to no part of the program"],
])("%s may not have %s", (file, line, rule) => {
  write("native/test/probe.h", "#pragma once");
  write(file, line);
  expect(wrong()).toEqual([expect.stringContaining(rule)]);
  expect(wrong()[0]).toMatch(new RegExp(`^${file}:1: `));
});

test("the addon may include everything native, in its own order", () => {
  write("native/core/base/error.h", "#pragma once");
  write("native/addon/convert/errors.h", "#include <napi.h>", '#include "core/base/error.h"');
  write("native/addon/async/task.h", '#include "addon/convert/errors.h"', '#include "data/scan.h"');
  write("native/addon/module.cpp", '#include "addon/handles/info.h"', '#include "analysis/a.h"');
  expect(wrong()).toEqual([]);

  write("native/addon/convert/errors.cpp", '#include "addon/async/task.h"');
  expect(wrong()).toEqual([expect.stringContaining("from convert up to async")]);
});

test("an import of a TypeScript module that goes up or across is named", () => {
  write("ts/addon/types.ts", 'import { readFile } from "node:fs";');
  write("ts/config/values.ts", 'import type { Constraint } from "../addon/types.js";');
  write("ts/cli/main.ts", 'import { plan } from "../runs/plan.js";', 'import("./program.js");');
  write("ts/cli/program.ts", "export {};");
  write("ts/runs/plan.ts", 'import { values } from "../config/values.js";');
  expect(wrong()).toEqual([]);

  write(
    "ts/config/values.ts",
    "import {",
    "  type Plan,",
    '} from "../runs/plan.js";',
    'export * from "../imaging/opencv.js";',
    'const main = await import("../cli/main.js");',
    'import "../index.js";',
  );
  expect(wrong()).toEqual([
    expect.stringMatching(/^ts\/config\/values\.ts:3: from config up to runs /),
    expect.stringMatching(/^ts\/config\/values\.ts:4: from config across to imaging /),
    expect.stringMatching(/^ts\/config\/values\.ts:5: from config up to cli /),
    expect.stringMatching(/^ts\/config\/values\.ts:6: from config up to index\.ts /),
  ]);
});

test("the program fails where a tree is wrong, and says nothing where it is not", () => {
  const run = () =>
    spawnSync(process.execPath, [path.join(root, "scripts/lint/rooms.mjs"), tree], {
      encoding: "utf8",
    });
  write("native/core/base/error.h", "#pragma once");
  expect(run()).toMatchObject({ status: 0, stdout: "", stderr: "" });
  write("native/core/base/error.h", '#include "core/model/autoencoder.h"');
  expect(run()).toMatchObject({
    status: 1,
    stdout: expect.stringMatching(/^native\/core\/base\/error\.h:1: from base up to model .*\n$/),
  });
});

test("a circle of TypeScript modules is an error, one of types as well", () => {
  const biome = () =>
    spawnSync(path.join(root, "node_modules/.bin/biome"), ["lint", "--vcs-enabled=false", "."], {
      cwd: tree,
      encoding: "utf8",
    });
  copyFileSync(path.join(root, "biome.json"), path.join(tree, "biome.json"));
  write("ts/files/a.ts", 'import { b } from "./b.js";', "export const a = b;");
  write("ts/files/b.ts", "export const b = 1;");
  expect(biome().status).toBe(0);

  write(
    "ts/files/b.ts",
    'import type { a } from "./a.js";',
    "export const b = (x: typeof a) => x;",
  );
  const { status, stderr } = biome();
  expect(status).toBe(1);
  expect(stderr).toContain("ts/files/a.ts:1:19 lint/suspicious/noImportCycles");
  expect(stderr).toContain("ts/files/b.ts:1:24 lint/suspicious/noImportCycles");
});
