#!/usr/bin/env node
// What a dashboard costs the training that it shows: the same training alone, with `--dashboard`
// that nobody looks at, and with so many clients that ask as the page does. In turns; the first
// fifth of the epochs, while processes start, is left out.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { get } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { quantile } from "./peers/statistics.mjs";
import { positiveOptions } from "./positive_options.mjs";

const { values } = parseArgs({
  options: {
    epochs: { type: "string", default: "120" },
    rounds: { type: "string", default: "5" },
    clients: { type: "string", default: "20" },
  },
});
const [epochs, rounds, clients] = positiveOptions(values, ["epochs", "rounds", "clients"]);

const root = fileURLToPath(new URL("..", import.meta.url));
const scratch = mkdtempSync(path.join(tmpdir(), "flexae-bench-"));
process.on("exit", () => rmSync(scratch, { recursive: true, force: true }));

/** The body of an answer; null without one. */
const ask = (url) =>
  new Promise((done) => {
    const asked = get(url, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part) => {
        text += part;
      });
      response.on("end", () => done(text));
    });
    asked.on("error", () => done(null));
  });

/** Asks for what is new each second, and for curves that have grown. */
async function look(url, isOver) {
  await sleep(1000 * Math.random());
  for (let version = 0; !isOver(); await sleep(1000)) {
    const text = await ask(`${url}changes/${version}`);
    if (text === null) continue;
    const changes = JSON.parse(text);
    version = changes.version;
    for (const { id } of changes.runs) await ask(`${url}epochs/${id}`);
  }
}

/** Seconds an epoch. */
async function train(options, watchers) {
  const sample = path.join(root, "data/sample");
  const args = [
    path.join(root, "scripts/flexae.mjs"),
    "run",
    ...["train", "valid"].map((set) => `--${set}-dir=${path.join(sample, set)}`),
    ...["--image-shape=28,28", "--filters=32,64", "--kernel-size=3", "--strides=2"],
    ...["--pooling=no", "--dims=32", "--batch-size=64", "--optimizer=adam"],
    ...[`--train-epochs=${epochs}`, `--patience=${epochs}`, "--no-report", "--json"],
    ...["--save-dir=logs/run", "--overwrite", ...options],
  ];
  const child = spawn(process.execPath, args, {
    cwd: scratch,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const seconds = [];
  let rest = "";
  let isOver = false;
  child.stdout.setEncoding("utf8").on("data", (text) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      const event = JSON.parse(line);
      if (event.event === "epoch") seconds.push(event.seconds);
      if (event.event !== "dashboard") continue;
      for (let i = 0; i < watchers; i++) void look(event.url, () => isOver);
    }
  });
  const code = await new Promise((done) => child.on("close", done));
  isOver = true;
  if (code !== 0) throw new Error(`The training ended with exit code ${code}`);
  const counted = seconds.slice(Math.floor(epochs / 5));
  return counted.reduce((sum, one) => sum + one, 0) / counted.length;
}

const kinds = [
  ["alone", [], 0],
  ["with a dashboard", ["--dashboard"], 0],
  [`watched by ${clients}`, ["--dashboard"], clients],
];
const measured = kinds.map(() => []);
for (let round = 0; round < rounds; round++) {
  for (let k = 0; k < kinds.length; k++) {
    const at = (round + k) % kinds.length;
    const [, options, watchers] = kinds[at];
    measured[at].push(await train(options, watchers));
  }
}
for (const [i, [name]] of kinds.entries()) {
  const seconds = measured[i];
  const ratios = seconds.map((value, round) => value / measured[0][round]);
  const [least, median, most] = [0, 0.5, 1].map((share) => quantile(ratios, share).toFixed(4));
  const each = (1000 * quantile(seconds, 0.5)).toFixed(1);
  process.stdout.write(
    `${name.padEnd(18)} ${each} ms an epoch, ${median} of alone (${least} to ${most})\n`,
  );
}
