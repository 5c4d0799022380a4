import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { renderSweepPage, type SweepPage } from "../../ts/sweep/page.ts";
import { makeSpec, type SweepRequest } from "../../ts/sweep/spec.ts";
import type { SweepTrial } from "../../ts/sweep/trials.ts";
import { hasBrowser, openedBrowser, openPage, violations } from "../support/browser.ts";
import { root } from "../support/cli.ts";

const NASTY = "<img src=x onerror=alert(1)>";
const spell = (name: string) => name;

/** A sweep of 12 trials, of which some have no result. */
function pageWith(asked: SweepRequest = {}, changed: Partial<SweepPage> = {}): SweepPage {
  const over = { dims: "4,8,16", filters: "8,16;4", learning_rate: "0.001,0.01" };
  const given = { values: { train_epochs: 9, train_dir: `/photos/${NASTY}` }, spell };
  const { spec } = makeSpec(undefined, { values: over, spell }, [given], asked);
  const trials = spec.points.map((settings, i): SweepTrial => {
    const score = 0.1 + Number(settings.learning_rate) + 0.001 * Number(settings.dims) * (i % 2);
    const trial: SweepTrial = {
      trial: i + 1,
      folder: `/logs/${NASTY}/trial_${String(i + 1).padStart(4, "0")}`,
      state: "finished",
      settings,
      epochs: 9,
      bestEpoch: 8,
      score,
      comparedScore: score,
      seconds: 12.3,
      train: null,
      valid: null,
      ended: "2026-01-01 00:00:00",
      problem: null,
    };
    const none = { epochs: 0, bestEpoch: null, score: null, comparedScore: null, seconds: 0 };
    if (i === 2) return { ...trial, ...none, state: "failed", problem: `no ${NASTY}` };
    if (i === 3) return { ...trial, ...none, state: "invalid", problem: "too small" };
    if (i === 4) return { ...trial, ...none, state: "waiting" };
    return trial;
  });
  const best = trials[0] as SweepTrial;
  return { name: NASTY, spec, rungs: [9], trials, best, pages: new Set([1, 2]), ...changed };
}

const assets = () => {
  const [script, style] = ["sweep.js", "sweep.css"].map((name) =>
    readFileSync(join(root, "dist/web", name), "utf8"),
  ) as [string, string];
  return { script, style };
};

describe("the page of a sweep", () => {
  it("says honestly when there are too few trials to tell", () => {
    const page = pageWith();
    const few = renderSweepPage({ ...page, trials: page.trials.slice(0, 2) }, assets());
    expect(few).toContain("too few trials to tell");
    expect(few).toContain("With so few trials nobody can tell a setting from chance");
    expect(renderSweepPage(page, assets())).not.toContain("too few trials to tell");
  });

  it("compares what was halved after as many epochs as all have", () => {
    const page = pageWith({ halving: true, minEpochs: 3 }, { rungs: [3, 9] });
    const halved = page.trials.map((trial) => ({ ...trial, comparedScore: trial.score && 1 }));
    const text = renderSweepPage({ ...page, trials: halved }, assets());
    expect(text).toContain("All are compared after 3 epochs");
    // None differ there.
    expect(text).toContain("too few trials to tell");
  });

  it("says that nothing has a score yet", () => {
    const page = pageWith();
    const waiting = page.trials.map((trial) => ({ ...trial, score: null, comparedScore: null }));
    const text = renderSweepPage({ ...page, trials: waiting, best: null }, assets());
    expect(text).toContain("No trial has a score yet.");
  });
});

describe.skipIf(!hasBrowser("The pages of sweeps"))("sweep.html in Chromium", () => {
  const browser = openedBrowser();
  let folder: string;
  let file: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "flexae-sweep-page-"));
    mkdirSync(join(folder, "trial_0001"));
    writeFileSync(join(folder, "trial_0001/report.html"), "<title>the first</title>");
    file = join(folder, "sweep.html");
    writeFileSync(file, renderSweepPage(pageWith(), assets()));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  async function open(width: number, colorScheme: "light" | "dark") {
    const viewport = { width, height: 900 };
    return await openPage(browser(), pathToFileURL(file).href, { colorScheme, viewport });
  }

  it("is one file that shows names as they are, and runs none of them", async () => {
    const { opened, seen } = await open(1280, "light");
    expect([seen.console, seen.dialogs]).toEqual([[], []]);
    expect(seen.requests.filter((url) => !url.startsWith("data:"))).toHaveLength(1);
    expect(await opened.locator("h2").textContent()).toBe(NASTY);
    expect(await opened.locator("img").count()).toBe(0);
    expect(await opened.locator("#problems td.file").first().textContent()).toBe(`no ${NASTY}`);
    expect(await opened.locator("h3").allTextContents()).toEqual([
      "Best trials",
      "All trials",
      "What mattered",
      "Without a result",
      "What was swept",
    ]);
  });

  it("has the best first, with links to their pages", async () => {
    const { opened } = await open(1280, "light");
    const rows = opened.locator("#best tbody tr");
    expect(await rows.count()).toBe(9);
    expect(await rows.first().getAttribute("class")).toBe("best");
    expect(await opened.locator("pre").textContent()).toContain("--dims=4 --filters=8,16");
    await opened.getByRole("link", { name: "trial_0001" }).first().click();
    expect(await opened.title()).toBe("the first");
  });

  it("says what mattered, the most first", async () => {
    const { opened } = await open(1280, "light");
    const names = await opened.locator(".setting h4").allTextContents();
    expect(names).toHaveLength(3);
    const shares = (await opened.locator(".setting strong").allTextContents()).map((text) =>
      Number.parseInt(text, 10),
    );
    expect(shares).toEqual([...shares].sort((a, b) => b - a));
    expect(await opened.locator(".setting").first().locator("tbody tr").count()).toBeGreaterThan(1);
  });

  it("draws a line a trial that has begun, and finds its row", async () => {
    const { opened, seen } = await open(1280, "light");
    expect(await opened.getByRole("option").count()).toBe(10);
    expect(await opened.locator("#all").getAttribute("open")).toBeNull();
    await opened.locator('[role="option"][tabindex="0"]').focus();
    expect(await opened.locator("tr.marked").count()).toBeGreaterThan(0);
    await opened.keyboard.press("Enter");
    expect(await opened.locator("#all").getAttribute("open")).not.toBeNull();
    const focused = await opened.evaluate(
      () => document.activeElement?.closest("tr")?.dataset.trial,
    );
    expect(focused).toBe("1");
    expect(seen.console).toEqual([]);
  });

  it.each([
    [360, "light"],
    [360, "dark"],
    [1280, "dark"],
    [3840, "light"],
  ] as const)("is accessible at %i pixels, %s", async (width, scheme) => {
    const { opened, seen } = await open(width, scheme);
    for (const summary of await opened.locator("summary").all()) await summary.click();
    expect(await violations(opened)).toEqual([]);
    expect(await opened.evaluate(() => document.documentElement.scrollWidth)).toBe(width);
    expect(seen.console).toEqual([]);
  });

  it("is printed light, whatever the screen is", async () => {
    const { opened } = await open(1280, "dark");
    await opened.emulateMedia({ media: "print", colorScheme: "dark" });
    const ground = await opened.evaluate(() => getComputedStyle(document.body).backgroundColor);
    expect(ground).toBe("rgb(255, 255, 255)");
  });
});
