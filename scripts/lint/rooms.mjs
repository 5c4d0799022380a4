#!/usr/bin/env node
// The order of rooms: an include or an import goes down or stays in its room, never up.
//
//   node scripts/lint/rooms.mjs [FOLDER]      of the repository, or of another tree like it
//
// Biome sees that TypeScript modules have no circles (noImportCycles in biome.json).

import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

/**
 * The rooms of each part, ground floor first. A floor of several rooms is an array: they know
 * nothing of each other. A name with a dot is a file that lies in the part's own folder. Where
 * `floors` is missing, the part has no rooms yet and its files may include one another.
 */
const PARTS = [
  {
    folder: "native/core",
    below: [],
    without: ["Node-API", "OpenCV"],
    floors: [
      "base",
      "files",
      "device",
      "comm",
      "spec",
      "cuda",
      "cpu/kernels",
      "tensor",
      "loss",
      "layers",
      "cpu",
      "optim",
      "model",
      "export",
      "train/feed",
      "train/checkpoint",
      "train",
    ],
  },
  { folder: "native/analysis", below: ["native/core"], without: ["Node-API", "OpenCV"] },
  {
    folder: "native/data",
    below: ["native/core"],
    without: ["Node-API"],
    floors: [["files", "formats"], "containers", ".", ["cache", "source"]],
  },
  {
    folder: "native/addon",
    below: ["native/core", "native/analysis", "native/data"],
    without: [],
    floors: ["convert", "async", "handles", "module.cpp"],
  },
  {
    folder: "ts",
    below: [],
    without: [],
    floors: [
      ["version.ts", "random.ts"],
      "addon",
      "files",
      "containers",
      ["config", "dataset", "imaging", "pages", "processes"],
      "runs",
      ["embeddings", "export", "report"],
      ["import", "explore", "dashboard", "tracking"],
      ["sweep", "verify"],
      "model.ts",
      ["index.ts", "cli"],
    ],
  },
];

/** What some parts do without, so that they build with nothing but a libtorch. */
const LIBRARIES = {
  "Node-API": /^(?:napi|node_api|js_native_api|node|v8|uv)\b/,
  OpenCV: /^opencv/,
};

const partOf = (file) => PARTS.find((part) => file.startsWith(`${part.folder}/`));

/** The room of a file, and its floor; undefined where the table has none. */
function roomOf(part, file) {
  const name = file.slice(part.folder.length + 1);
  const rooms = part.floors.flatMap((rooms, floor) =>
    [rooms].flat().map((room) => ({ room, floor })),
  );
  const found = rooms.filter(({ room }) =>
    // "." holds the files that lie in no folder of the part.
    room === "."
      ? !name.includes("/")
      : room.includes(".")
        ? name === room
        : name.startsWith(`${room}/`),
  );
  // The innermost one: cpu/kernels is a room of its own.
  return found.sort((a, b) => b.room.length - a.room.length)[0];
}

const drawn = (part) => part.floors.map((rooms) => [rooms].flat().join(" | ")).join(" < ");

/** What is wrong with `file` including or importing `target`, both from the root; or undefined. */
function judge(file, target) {
  const from = partOf(file);
  const to = partOf(target);
  if (to === undefined) return `${target} belongs to no part of the program`;
  if (to !== from) {
    if (from.below.includes(to.folder)) return undefined;
    const allowed = from.below.length === 0 ? "nothing" : from.below.join(", ");
    return `${from.folder} includes ${allowed} besides itself, and so not ${target}`;
  }
  if (from.floors === undefined) return undefined;
  const here = roomOf(from, file);
  const there = roomOf(to, target);
  // The file that lies in no room is told once, where it is looked at.
  if (here === undefined || there === undefined || here.room === there.room) return undefined;
  if (there.floor < here.floor) return undefined;
  const way = there.floor > here.floor ? "up" : "across";
  return `from ${here.room} ${way} to ${there.room} (${target}); the order is ${drawn(from)}`;
}

/** The includes of a C++ file, or the imports of a TypeScript file: `{ line, name }`. */
function references(file, text) {
  const pattern = file.endsWith(".ts")
    ? /(?:\bfrom|\bimport|\bimport\()\s*"(\.[^"]*)"/g
    : /^[ \t]*#[ \t]*include[ \t]*[<"]([^>"]+)[>"]/gm;
  return [...text.matchAll(pattern)].map((match) => ({
    line: text.slice(0, match.index + match[0].length).split("\n").length,
    name: match[1],
  }));
}

/** The file of the tree that is meant, from its root; undefined for a library's. */
function resolve(root, file, name) {
  const beside = path.posix.join(path.posix.dirname(file), name);
  const candidates = file.endsWith(".ts")
    ? [beside.replace(/\.js$/, ".ts")]
    : [beside, path.posix.join("native", name)];
  const found = candidates.find((candidate) => existsSync(path.join(root, candidate)));
  // One that is missing is judged by its path.
  return found ?? (partOf(candidates.at(-1)) && candidates.at(-1));
}

/** Names of the sources of a part, from the root. */
function sources(root, part) {
  const folder = path.join(root, part.folder);
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true })
    .filter((name) => /\.(?:cpp|h|ts)$/.test(name))
    .map((name) => `${part.folder}/${name.split(path.sep).join("/")}`)
    .sort();
}

/** Whatever breaks the order of rooms below `root`, as "FILE:LINE: what". */
export function findWrongTurns(root) {
  const wrong = [];
  for (const part of PARTS) {
    for (const file of sources(root, part)) {
      if (part.floors !== undefined && roomOf(part, file) === undefined) {
        wrong.push(`${file}:1: lies in no room; the rooms of ${part.folder} are ${drawn(part)}`);
      }
      const text = readFileSync(path.join(root, file), "utf8");
      for (const { line, name } of references(file, text)) {
        const library = part.without.find((library) => LIBRARIES[library].test(name));
        const target = resolve(root, file, name);
        const rule =
          library !== undefined
            ? `${part.folder} includes no ${library}, and so not ${name}`
            : target !== undefined && judge(file, target);
        if (rule) wrong.push(`${file}:${line}: ${rule}`);
      }
    }
  }
  return wrong;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = process.argv[2] ?? path.join(path.dirname(fileURLToPath(import.meta.url)), "../..");
  const wrong = findWrongTurns(root);
  for (const line of wrong) process.stdout.write(`${line}\n`);
  if (wrong.length > 0) process.exitCode = 1;
}
