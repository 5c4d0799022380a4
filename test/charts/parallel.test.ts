import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeDocument } from "../../ts/pages/document.ts";
import { html } from "../../ts/pages/html.ts";
import { axisScale } from "../../web/charts/axis_scale.ts";
import { hasBrowser, openedBrowser, openPage, violations } from "../support/browser.ts";
import { root } from "../support/cli.ts";

describe("the scale of an axis", () => {
  it("places numbers by size, over two powers of ten by their logarithm", () => {
    const { place, stops, ticks, isNumeric, textAt } = axisScale([16, 64, 32, 16, null]);
    expect(isNumeric).toBe(true);
    expect(stops).toEqual([0, 1 / 3, 1]);
    expect([place(64), place(null), place(Number.NaN)]).toEqual([1, null, null]);
    expect(ticks.map(({ text }) => text)).toEqual(["16", "32", "64"]);
    expect(textAt(0.3)).toBe("32");
    const rates = axisScale([1e-4, 1e-1, 1e-3]);
    expect(rates.place(1e-3)).toBeCloseTo(1 / 3);
    expect(rates.ticks.map(({ text }) => text)).toEqual(["1e-4", "0.001", "0.1"]);
  });

  it("marks round numbers where there are many", () => {
    const { ticks } = axisScale(Array.from({ length: 40 }, (_, i) => 0.0803 + i * 0.001));
    expect(ticks.map(({ text }) => text)).toEqual(["0.09", "0.1", "0.11"]);
    const powers = axisScale(Array.from({ length: 40 }, (_, i) => 10 ** (i / 8 - 4)));
    expect(powers.ticks.map(({ text }) => text)).toEqual(["1e-4", "0.001", "0.01", "0.1", "1"]);
  });

  it("places texts by the alphabet, numbers in them by size", () => {
    const { stops, ticks, place } = axisScale(["8,16", "adam", 32, "8,8"]);
    expect(stops).toEqual([0, 1 / 3, 2 / 3, 1]);
    expect(ticks.map(({ text }) => text)).toEqual(["8,8", "8,16", "32", "adam"]);
    expect(place(32)).toBe(2 / 3);
  });

  it("has a middle for one value, and nothing for none", () => {
    expect(axisScale([5, 5]).place(5)).toBe(0.5);
    expect(axisScale([null, Number.NaN]).stops).toEqual([]);
  });
});

const NASTY = "<img src=x onerror=alert(1)>";

/** What the page's script leaves for the test. */
interface Told {
  told: unknown[][];
  plot: { update(changed: unknown): void; destroy(): void };
}

describe.skipIf(!hasBrowser("Parallel coordinates"))("parallel coordinates in Chromium", () => {
  const browser = openedBrowser();
  let folder: string;
  let page: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "flexae-parallel-"));
    const entry = join(folder, "src", "main.ts");
    mkdirSync(join(folder, "src"));
    writeFileSync(
      entry,
      `import ${JSON.stringify(join(root, "web/theme.css"))};
import { drawParallel } from ${JSON.stringify(join(root, "web/charts/parallel.ts"))};
const axes = [
  { name: "dims", values: [4, 4, 8, 8, 16, 16] },
  { name: "optimizer", values: ["adam", "sgd", "adam", "sgd", "adam", ${JSON.stringify(NASTY)}] },
  { name: "val_loss", values: [0.3, 0.5, 0.2, 0.4, 0.1, null] },
];
const labels = axes[0].values.map((_, i) => "trial " + (i + 1));
const told = [];
const plot = drawParallel(document.getElementById("plot"), {
  axes, labels, colourBy: 2,
  onHover: (line) => told.push(["hover", line]),
  onChoose: (line) => told.push(["choose", line]),
  onFilter: (lines) => told.push(["filter", lines]),
});
Object.assign(globalThis, { told, plot });
`,
    );
    await build({ entryPoints: { main: entry }, outdir: folder, bundle: true, format: "iife" });
    const [script, style] = ["main.js", "main.css"].map((name) =>
      readFileSync(join(folder, name), "utf8"),
    ) as [string, string];
    const body = html`<main><h1>Plot</h1><div id="plot"></div></main>`;
    const { begin, end } = makeDocument({
      title: "Plot",
      body,
      assets: { script, style },
      images: "data:",
    });
    page = join(folder, "plot.html");
    writeFileSync(page, begin + end);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  async function open(width = 900, colorScheme: "light" | "dark" = "light") {
    const viewport = { width, height: 700 };
    return await openPage(browser(), pathToFileURL(page).href, { viewport, colorScheme });
  }
  const told = (opened: Page) => opened.evaluate(() => (globalThis as unknown as Told).told);
  const shown = (opened: Page) =>
    opened
      .locator(".line:not(.out)")
      .evaluateAll((all) => all.map((one) => Number((one as HTMLElement).dataset.line)));
  const option = (opened: Page, line: number) => opened.locator(`[data-line="${line}"]`);

  it("draws a line a row, and names it with all its values", async () => {
    const { opened, seen } = await open();
    expect(await opened.getByRole("option").count()).toBe(6);
    expect(await option(opened, 4).getAttribute("aria-label")).toBe(
      "trial 5: dims 16, optimizer adam, val_loss 0.1",
    );
    expect(await option(opened, 5).getAttribute("aria-label")).toBe(
      `trial 6: dims 16, optimizer ${NASTY}, val_loss –`,
    );
    expect(await opened.locator("img").count()).toBe(0);
    const colours = await opened
      .locator(".seen")
      .evaluateAll((all) => all.map((one) => getComputedStyle(one).stroke));
    // One without a value is grey.
    expect(new Set(colours).size).toBe(6);
    expect([seen.console, seen.dialogs]).toEqual([[], []]);
  });

  it("filters by dragging along an axis, and lets go by a click", async () => {
    const { opened } = await open();
    const box = await opened.locator('[data-axis="dims"] .brush').boundingBox();
    const { x, y, width, height } = box as NonNullable<typeof box>;
    const middle = x + width / 2;
    await opened.mouse.move(middle, y + height * 0.55);
    await opened.mouse.down();
    await opened.mouse.move(middle, y + height * 0.8, { steps: 4 });
    await opened.mouse.up();
    expect(await shown(opened)).toEqual([2, 3]);
    expect(await opened.getByRole("status").textContent()).toBe("2 of 6 shown");
    expect((await told(opened)).at(-1)).toEqual(["filter", [2, 3]]);
    await opened.mouse.click(middle, y + height * 0.3);
    expect(await shown(opened)).toHaveLength(6);
    expect(await opened.getByRole("button", { name: "Show all" }).isVisible()).toBe(false);
  });

  it("is used by keys alone", async () => {
    const { opened } = await open();
    await opened.keyboard.press("Tab");
    const focused = () =>
      opened.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? "");
    expect(await focused()).toContain("trial 1:");
    expect((await told(opened)).at(-1)).toEqual(["hover", 0]);
    await opened.keyboard.press("ArrowDown");
    expect(await focused()).toContain("trial 3:");
    await opened.keyboard.press("Home");
    await opened.keyboard.press("Enter");
    expect(await focused()).toContain("trial 5:");
    expect((await told(opened)).at(-1)).toEqual(["choose", 4]);
    await opened.keyboard.press("Tab");
    expect(await focused()).toBe("dims: the least that is shown");
    await opened.keyboard.press("ArrowUp");
    const handle = opened.getByRole("slider", { name: "dims: the least that is shown" });
    expect(await handle.getAttribute("aria-valuetext")).toBe("8");
    expect(await shown(opened)).toEqual([2, 3, 4, 5]);
    await opened.keyboard.press("Tab");
    await opened.keyboard.press("ArrowDown");
    expect(await shown(opened)).toEqual([2, 3]);
    await opened.keyboard.press("Escape");
    expect(await shown(opened)).toHaveLength(6);
  });

  it("marks the line that is pointed at", async () => {
    const { opened } = await open();
    // Between two axes, where the line is not under one.
    const { x, y } = await opened.locator('[data-line="1"] .hit').evaluate((path) => {
      const point = (path as SVGPathElement).getPointAtLength(120);
      const box = (path as SVGPathElement).ownerSVGElement?.getBoundingClientRect() as DOMRect;
      return { x: box.x + point.x, y: box.y + point.y };
    });
    await opened.mouse.move(x, y);
    expect(await opened.locator(".line.marked").getAttribute("data-line")).toBe("1");
    expect(await opened.locator(".parallel-foot").textContent()).toContain("optimizer sgd");
    await opened.mouse.move(5, 5);
    expect(await opened.locator(".line.marked").count()).toBe(0);
    expect(await told(opened)).toEqual([
      ["hover", 1],
      ["hover", null],
    ]);
  });

  it("keeps filters and the focus when the data change, and leaves nothing behind", async () => {
    const { opened, seen } = await open();
    const handle = opened.getByRole("slider", { name: "dims: the least that is shown" });
    await handle.focus();
    await opened.keyboard.press("ArrowUp");
    await opened.evaluate(() => {
      (globalThis as unknown as Told).plot.update({
        axes: [
          { name: "dims", values: [4, 8, 16] },
          { name: "val_loss", values: [3, 2, 1] },
        ],
        labels: ["a", "b", "c"],
        colourBy: 1,
      });
    });
    expect(await shown(opened)).toEqual([1, 2]);
    expect(await handle.evaluate((one) => one === document.activeElement)).toBe(true);
    await opened.evaluate(() => (globalThis as unknown as Told).plot.destroy());
    expect(await opened.locator("#plot").innerHTML()).toBe("");
    expect(seen.console).toEqual([]);
  });

  it.each([
    [360, "light"],
    [900, "dark"],
    [3840, "light"],
  ] as const)("is accessible at %i pixels, %s", async (width, scheme) => {
    const { opened, seen } = await open(width, scheme);
    expect(await violations(opened)).toEqual([]);
    expect(await opened.evaluate(() => document.documentElement.scrollWidth)).toBe(width);
    expect(seen.console).toEqual([]);
  });
});
