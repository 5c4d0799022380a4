#!/usr/bin/env node
// How long the explorer takes: a page with all in it, and one that a server hands out, of so many
// images at made-up places. Thumbnails are of real files, digits and pieces of clothing, again and
// again where there are more images than files. Chromium draws without a GPU.

import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";
import { BROWSER_ARGS, browserPath, NO_BROWSER } from "../scripts/setup/browser.mjs";
import { openSet, SETS } from "./clustering/sets.mjs";
import { quantile } from "./peers/statistics.mjs";

const { values } = parseArgs({
  options: {
    page: { type: "string", default: "100000" },
    server: { type: "string", default: "1000000" },
    files: { type: "string", default: "60000" },
    rounds: { type: "string", default: "5" },
  },
});
const [page, server, files, rounds] = ["page", "server", "files", "rounds"].map((name) => {
  const value = Number(values[name]);
  if (!Number.isInteger(value) || value < 0) {
    process.stderr.write(`Expected an integer for --${name}\n`);
    process.exit(2);
  }
  return value;
});
const executablePath = browserPath();
if (executablePath === null) {
  process.stderr.write(`Nothing is measured: ${NO_BROWSER}\n`);
  process.exit(1);
}

const { makeTable, writeExplorer, serveExplorer } = await import("flexible-autoencoder");
const { drawSpriteSheet } = await import("../dist/imaging/sprite_sheet.js");
const { writeTable } = await import("../dist/embeddings/writer.js");

const scratch = mkdtempSync(path.join(tmpdir(), "flexae-bench-"));
process.on("exit", () => rmSync(scratch, { recursive: true, force: true }));
const show = (text) => process.stdout.write(`${text}\n`);
const ms = (value) => `${Math.round(value)} ms`;
const median = (list) => quantile(list, 0.5);

/** All image files: `[set, path within it]`. */
const images = [];
for (const set of SETS) {
  const { images: folder } = await openSet(set);
  for (const name of readdirSync(folder)) {
    for (const file of readdirSync(path.join(folder, name))) {
      images.push([folder, `${name}/${file}`]);
    }
  }
}

/** A table of places: clouds of points, one a class of each set, from a fixed seed. */
async function tableOf(rows) {
  let state = 1;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const normal = () =>
    Math.sqrt(-2 * Math.log(random() + 1e-12)) * Math.cos(2 * Math.PI * random());
  const [sets, paths, classes] = [[], [], []];
  const places = new Float32Array(2 * rows);
  const losses = new Float32Array(rows);
  for (let i = 0; i < rows; i++) {
    const [set, file] = images[i % images.length];
    sets.push(set);
    paths.push(file);
    const name = file.split("/")[0];
    classes.push(name);
    const angle = (Number(name) + (set === images[0][0] ? 0 : 0.5)) * 0.63;
    places[2 * i] = 6 * Math.cos(angle) + normal();
    places[2 * i + 1] = 6 * Math.sin(angle) + normal();
    losses[i] = 0.1 + 0.02 * normal() ** 2;
  }
  const sizes = new Int32Array(rows).fill(28);
  const table = makeTable(places, 2, {
    paths,
    sets,
    classes,
    losses,
    widths: sizes,
    heights: sizes,
    bytes: sizes,
  });
  const out = path.join(scratch, `${rows}.parquet`);
  await writeTable(out, table, { dims: 2, loss: true, file: true });
  return out;
}

/** From the address to the first picture, and frames a second while it is zoomed. */
async function open(browser, url) {
  const opened = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  await opened.goto(url, { waitUntil: "commit", timeout: 120_000 });
  await opened.waitForFunction("document.documentElement.dataset.ready", null, {
    timeout: 120_000,
  });
  const ready = await opened.evaluate('performance.getEntriesByName("ready")[0].startTime');
  await opened.waitForLoadState("load", { timeout: 120_000 });
  const frames = await opened.evaluate(async () => {
    const canvas = document.getElementById("points");
    const { left, top, width, height } = canvas.getBoundingClientRect();
    const at = { clientX: left + width / 2, clientY: top + height / 2, bubbles: true };
    canvas.dispatchEvent(new MouseEvent("mouseenter", at));
    canvas.dispatchEvent(new MouseEvent("mousemove", at));
    const began = performance.now();
    let count = 0;
    while (performance.now() - began < 3000) {
      canvas.dispatchEvent(new WheelEvent("wheel", { ...at, deltaY: -8 }));
      await new Promise((done) => requestAnimationFrame(done));
      count++;
    }
    return (1000 * count) / (performance.now() - began);
  });
  await opened.close();
  return { ready, frames };
}

async function openings(name, url) {
  const browser = await chromium.launch({ executablePath, args: BROWSER_ARGS });
  const found = [];
  try {
    for (let i = 0; i < rounds; i++) found.push(await open(browser, url));
  } finally {
    await browser.close();
  }
  const ready = found.map((each) => each.ready);
  const frames = median(found.map((each) => each.frames));
  const range = `${ms(Math.min(...ready))} to ${ms(Math.max(...ready))}`;
  show(
    `${name}: drawn ${ms(median(ready))} after it was asked for (${range}), zooms at ${frames.toFixed(1)} frames/s`,
  );
}

if (files > 0) {
  const times = [];
  for (let round = 0; round < rounds; round++) {
    const began = performance.now();
    for (let from = 0; from < files; from += 256) {
      const some = images.slice(from, Math.min(files, from + 256));
      await drawSpriteSheet(
        some.map(([set, file]) => ({
          file: path.join(set, file),
          size: { width: 28, height: 28 },
        })),
        { side: 32, columns: 16, maxPixels: 1e8 },
      );
    }
    times.push(performance.now() - began);
  }
  show(`thumbnails of ${files} files: ${ms(median(times))}`);
}
if (page > 0) {
  const table = await tableOf(page);
  const began = performance.now();
  const out = path.join(scratch, "page.html");
  await writeExplorer(table, out);
  const size = statSync(out).size / 2 ** 20;
  show(
    `page of ${page} images: written in ${ms(performance.now() - began)}, ${size.toFixed(1)} MiB`,
  );
  await openings("  in Chromium", pathToFileURL(out).href);
}
if (server > 0) {
  const table = await tableOf(server);
  const began = performance.now();
  const served = await serveExplorer(table);
  show(`server of ${server} images: ready in ${ms(performance.now() - began)}`);
  await openings("  in Chromium", served.url);
  await served.close();
}
