#!/usr/bin/env node
// Draws the pictures of pages in docs/images, for the README, as Chromium shows them:
//
//   node scripts/screenshots.mjs report REPORT.html
//   node scripts/screenshots.mjs explore PAGE.html
//   node scripts/screenshots.mjs dashboard URL      while a run goes on
//   node scripts/screenshots.mjs comparison URL     of all runs of a dashboard
//   node scripts/screenshots.mjs sweep SWEEP.html

import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { chromium } from "playwright-core";
import { BROWSER_ARGS, browserPath, NO_BROWSER } from "./setup/browser.mjs";

/** What is done on a page before it is drawn. */
const SHOTS = {
  report: {
    viewport: { width: 1280, height: 1609 },
    prepare: (page) => page.locator(".chart canvas").nth(3).waitFor(),
  },
  sweep: {
    viewport: { width: 1280, height: 900 },
    prepare: sweep,
  },
  explore: {
    viewport: { width: 1400, height: 860 },
    prepare: explore,
  },
  dashboard: {
    viewport: { width: 1280, height: 1010 },
    prepare: watch,
  },
  comparison: {
    viewport: { width: 1280, height: 1700 },
    prepare: compare,
  },
};

/** Points at the best trial's line. */
async function sweep(page) {
  await page.locator(".parallel svg").waitFor();
  const best = await page.locator("#best tr.best").getAttribute("data-trial");
  const name = `trial_${best.padStart(4, "0")}`;
  await page.locator(`[role="option"][aria-label^="${name}:"]`).focus();
  await page.locator("#lines").evaluate((section) => section.scrollIntoView());
}

/** Selects a part of the map, and looks at an image of it. */
async function explore(page) {
  await page.locator("html[data-ready]").waitFor({ state: "attached" });
  const map = await page.locator("#points").boundingBox();
  const at = (x, y) => [map.x + x * map.width, map.y + y * map.height];
  await page.locator("details[data-column=loss] summary").click();
  await page.locator("#lasso").click();
  const corners = [
    [0.1, 0.2],
    [0.26, 0.22],
    [0.25, 0.42],
    [0.18, 0.46],
    [0.11, 0.4],
  ];
  await page.mouse.move(...at(...corners[0]));
  await page.mouse.down();
  for (const corner of corners) await page.mouse.move(...at(...corner), { steps: 10 });
  await page.mouse.up();
  await page.locator("#selection-images button").nth(5).click();
  await page.locator("#image .picture canvas[data-drawn=true]").waitFor();
  await page.mouse.move(...at(0.62, 0.5), { steps: 3 });
}

/** Waits until all of a run is there. */
async function watch(page) {
  await page.locator("#curves canvas").nth(3).waitFor();
  await page.locator("#reconstructions img").waitFor();
}

/** Compares all runs, by a logarithmic axis. */
async function compare(page) {
  await page.locator("#compare-shown").click();
  await page.locator("#compare-log").check();
  await page.locator("#compare .chart canvas").waitFor();
  await page.locator("#parallel .line").first().waitFor();
}

const [name, file] = process.argv.slice(2);
const shot = SHOTS[name];
const executablePath = browserPath();
if (shot === undefined || file === undefined || executablePath === null) {
  const known = Object.keys(SHOTS).join(" or ");
  const reason =
    executablePath === null ? NO_BROWSER : `Expected ${known}, and a page or its address`;
  process.stderr.write(`Nothing is drawn: ${reason}\n`);
  process.exit(2);
}
const browser = await chromium.launch({ executablePath, args: BROWSER_ARGS });
try {
  const page = await browser.newPage({ viewport: shot.viewport, colorScheme: "light" });
  await page.goto(/^https?:/.test(file) ? file : pathToFileURL(path.resolve(file)).href);
  await shot.prepare(page);
  await page.waitForTimeout(500);
  if (["dashboard", "comparison"].includes(name)) {
    // Where its folder is says nothing to anybody else.
    await page.locator("#folder").evaluate((heading) => {
      heading.textContent = "logs";
    });
  }
  const images = fileURLToPath(new URL("../docs/images", import.meta.url));
  await page.screenshot({ path: path.join(images, `${name}.png`) });
} finally {
  await browser.close();
}
