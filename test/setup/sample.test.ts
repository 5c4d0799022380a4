import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { inflateSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { encodeGrayPng } from "../../scripts/setup/png.mjs";
import { writeSample } from "../../scripts/setup/sample.mjs";

let work: string;
let folder: string;

beforeAll(async () => {
  work = mkdtempSync(path.join(tmpdir(), "flexae-sample-"));
  folder = path.join(work, "data", "sample");
  await writeSample(folder);
});

afterAll(() => rmSync(work, { recursive: true, force: true }));

function files(): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name))
    .sort();
}

const digest = () => {
  const hash = createHash("sha256");
  for (const file of files()) hash.update(path.relative(folder, file)).update(readFileSync(file));
  return hash.digest("hex");
};

test("has 5,000 training and 1,000 validation digits, ten classes each, no image twice", () => {
  const count = (set: string) =>
    Array.from(
      { length: 10 },
      (_, digit) => readdirSync(path.join(folder, set, `digit_${digit}`)).length,
    );
  expect(count("train")).toEqual(Array(10).fill(500));
  expect(count("valid")).toEqual(Array(10).fill(100));
  const contents = new Set(files().map((file) => readFileSync(file, "base64")));
  expect(contents.size).toBe(6000);
});

test("is the same each time, and is repaired when a file is lost", async () => {
  const before = digest();
  rmSync(path.join(folder, "train", "digit_3", "017.png"));
  writeFileSync(path.join(folder, "stray.txt"), "");
  await writeSample(folder);
  expect(digest()).toBe(before);
  expect(readdirSync(path.join(work, "data"))).toEqual(["sample"]);
});

test("holds digits: dark edges, bright strokes", () => {
  const png = readFileSync(path.join(folder, "train", "digit_1", "000.png"));
  expect([png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual([28, 28]);
  const rows = inflateSync(png.subarray(41, 41 + png.readUInt32BE(33)));
  expect(rows.length).toBe(28 * 29);
  expect(Math.max(...rows)).toBeGreaterThan(200);
  expect(Math.max(...rows.subarray(0, 29))).toBe(0);
});

test("encodeGrayPng refuses a wrong number of pixels", () => {
  expect(() => encodeGrayPng(new Uint8Array(5), 2, 3)).toThrow(
    "Expected 6 bytes for 2×3 pixels but received 5",
  );
});
