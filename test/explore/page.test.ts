import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Locator, Page } from "playwright-core";
import { beforeAll, describe, expect, inject, it } from "vitest";
import { readTable } from "../../ts/index.ts";
import { hasBrowser, openedBrowser, openPage, violations } from "../support/browser.ts";
import { flexae, trainedRun } from "../support/cli.ts";
import { nearestRows } from "../support/nearest.ts";

const NASTY = "<img src=x onerror=alert(1)>";

describe.skipIf(!hasBrowser("The explorer"))("an explorer's page in Chromium", () => {
  const browser = openedBrowser();
  const run = trainedRun("--no-report");
  let page: string;
  let table: string;

  beforeAll(async () => {
    const folder = join(run(), "explore");
    const set = join(folder, "set");
    mkdirSync(set, { recursive: true });
    for (const digit of readdirSync(join(inject("digits"), "train"))) {
      const from = join(inject("digits"), "train", digit);
      const to = join(set, digit === "digit_0" ? NASTY : digit);
      mkdirSync(to);
      for (const file of readdirSync(from)) copyFileSync(join(from, file), join(to, file));
    }
    renameSync(join(set, NASTY, "000.png"), join(set, NASTY, `${NASTY}.png`));
    table = join(folder, `${NASTY}.parquet`);
    const embedded = await flexae(["embed", run(), set, "-o", table, "--loss"]);
    expect(embedded.code, embedded.stderr).toBe(0);
    const { paths } = await readTable(table);
    // One without a row there, and a value with all that a CSV file quotes.
    const rows = paths.slice(1).map((path, i) => `${path},${i % 7},"a, ""b""\n${NASTY}"`);
    writeFileSync(join(folder, "more.csv"), `path,score,remark\n${rows.join("\n")}\n`);
    page = join(folder, "page.html");
    const made = await flexae([
      "explore",
      table,
      "-o",
      page,
      `--columns=${join(folder, "more.csv")}`,
    ]);
    expect(made.code, made.stderr).toBe(0);
    expect(made.stderr).toBe("");
  });

  async function open(
    width = 1280,
    colorScheme: "light" | "dark" = "light",
    more: { hasTouch?: boolean } = {},
  ) {
    const viewport = { width, height: 900 };
    const options = { colorScheme, viewport, permissions: ["clipboard-read", "clipboard-write"] };
    const url = pathToFileURL(page).href;
    const opening = await openPage(browser(), url, { ...options, ...more });
    await opening.opened.locator("html[data-ready]").waitFor({ state: "attached" });
    return opening;
  }

  /** A drag of the mouse over a part of the map, from one corner to the other by shares of it. */
  async function drag(opened: Page, from: [number, number], to: [number, number]): Promise<void> {
    const { x, y, width, height } = (await opened.locator("#points").boundingBox()) as Box;
    const at = ([across, down]: [number, number]) =>
      [x + across * width, y + down * height] as const;
    await opened.mouse.move(...at(from));
    await opened.mouse.down();
    await opened.mouse.move(...at([(from[0] + to[0]) / 2, (from[1] + to[1]) / 2]), { steps: 4 });
    await opened.mouse.move(...at(to), { steps: 8 });
    await opened.mouse.up();
  }
  type Box = NonNullable<Awaited<ReturnType<Locator["boundingBox"]>>>;

  const selected = (opened: Page) => opened.locator("#selection-count").textContent();

  /** Selects what is in view. The map draws what it was told with its next frame. */
  async function inView(opened: Page): Promise<number> {
    await opened.locator("#points").press("a");
    return Number.parseInt((await selected(opened)) as string, 10) || 0;
  }

  it("is one file that asks for nothing, and runs no names", async () => {
    const { opened, seen } = await open();
    await opened.locator("#points").press("Enter");
    await opened.locator("#neighbours button").first().waitFor();
    expect(seen).toEqual({ console: [], dialogs: [], requests: [pathToFileURL(page).href] });
    expect(await opened.locator("img[src=x], img[onerror]").count()).toBe(0);
    expect(await opened.locator("h1").textContent()).toBe(`${NASTY}.parquet`);
    expect(await opened.title()).toBe(`${NASTY}.parquet – explore`);
    expect(statSync(page).size).toBeLessThan(1_000_000);
  });

  it("colours by classes at first, and by any column", async () => {
    const { opened } = await open();
    expect(await opened.locator("#legend button").count()).toBe(10);
    expect(await opened.locator("#legend").textContent()).toContain(NASTY);
    const options = await opened.locator("#colour option").allTextContents();
    expect(options).toEqual(
      expect.arrayContaining(["nothing", "class", "set", "loss", "width", "score", "remark"]),
    );
    await opened.locator("#colour").selectOption("score");
    const ends = opened.locator("#legend .ends span");
    expect(await ends.allTextContents()).toEqual(["0", "6"]);
    // The first image has none.
    expect(await opened.locator("#legend").textContent()).toContain("none");
    await opened.locator("#colour").selectOption("nothing");
    expect(await opened.locator("#legend").textContent()).toBe("");
  });

  it("draws as many colours as there are classes", async () => {
    const { opened } = await open();
    const png = await opened.locator("#points").screenshot();
    const colours = await opened.evaluate(
      async (bytes) => {
        const bitmap = await createImageBitmap(new Blob([new Uint8Array(bytes)]));
        const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
        const context = canvas.getContext("2d") as OffscreenCanvasRenderingContext2D;
        context.drawImage(bitmap, 0, 0);
        const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
        const hues = new Set<string>();
        for (let i = 0; i < data.length; i += 4) {
          const [r, g, b] = [data[i], data[i + 1], data[i + 2]] as [number, number, number];
          if (Math.max(r, g, b) - Math.min(r, g, b) > 60) hues.add([r >> 6, g >> 6, b >> 6].join());
        }
        return hues.size;
      },
      [...png],
    );
    expect(colours).toBeGreaterThan(5);
  });

  it("selects by a box and by a lasso, adds and takes away, and lets go", async () => {
    const { opened } = await open();
    expect(await selected(opened)).toMatch(/^Nothing is selected/);
    await opened.locator("#box").click();
    await drag(opened, [0.01, 0.01], [0.99, 0.99]);
    const all = (await readTable(table)).paths.length;
    expect(await selected(opened)).toBe(`${all} images selected.`);
    await drag(opened, [0.01, 0.01], [0.5, 0.99]);
    const left = Number.parseInt((await selected(opened)) as string, 10);
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThan(all);
    await opened.keyboard.down("Shift");
    await drag(opened, [0.5, 0.01], [0.99, 0.99]);
    await opened.keyboard.up("Shift");
    expect(await selected(opened)).toBe(`${all} images selected.`);
    await opened.keyboard.down("Alt");
    await drag(opened, [0.01, 0.01], [0.5, 0.99]);
    await opened.keyboard.up("Alt");
    expect(await selected(opened)).toBe(`${all - left} images selected.`);
    await opened.locator("#select-invert").click();
    expect(await selected(opened)).toBe(`${left} images selected.`);
    // Escape means something else in a field.
    await opened.locator("#search").press("Escape");
    expect(await selected(opened)).toBe(`${left} images selected.`);
    await opened.locator("#points").press("Escape");
    expect(await selected(opened)).toMatch(/^Nothing is selected/);
    // Around the middle and back, by hand.
    await opened.locator("#lasso").click();
    const { x, y, width, height } = (await opened.locator("#points").boundingBox()) as Box;
    for (const [i, [across, down]] of [
      [0.02, 0.02],
      [0.98, 0.02],
      [0.98, 0.98],
      [0.02, 0.98],
      [0.02, 0.05],
    ].entries()) {
      const at = [x + (across as number) * width, y + (down as number) * height] as const;
      await opened.mouse.move(...at, { steps: 10 });
      if (i === 0) await opened.mouse.down();
    }
    await opened.mouse.up();
    expect(await selected(opened)).toBe(`${all} images selected.`);
    expect(await opened.locator("#selection-images button").count()).toBe(50);
  });

  it("saves the selection as CSV, and copies its paths", async () => {
    const { opened } = await open();
    const { paths, losses } = await readTable(table);
    const row = paths.indexOf("digit_3/001.png");
    await opened.locator("#search").fill("T_3/001");
    expect(await opened.locator("#search-count").textContent()).toBe("1 image");
    await opened.locator("#search-results button").click();
    await opened.waitForTimeout(1000);
    await opened.locator("#zoom-in").click();
    await opened.locator("#points").press("a");
    const count = Number.parseInt((await selected(opened)) as string, 10);
    expect(count).toBeGreaterThan(0);
    expect(count).toBeLessThan(paths.length);
    const saving = opened.waitForEvent("download");
    await opened.locator("#export").click();
    const saved = await saving;
    expect(saved.suggestedFilename()).toBe("selection.csv");
    const { parse } = await import("csv-parse/sync");
    const records = parse(readFileSync(await saved.path(), "utf8"), { columns: true }) as Record<
      string,
      string
    >[];
    expect(records).toHaveLength(count);
    const record = records.find(({ path }) => path === "digit_3/001.png");
    expect(record).toMatchObject({
      class: "digit_3",
      width: "28",
      bytes: String(statSync(join(run(), "explore/set/digit_3/001.png")).size),
      score: String((row - 1) % 7),
      remark: `a, "b"\n${NASTY}`,
    });
    expect(Number(record?.loss)).toBeCloseTo(losses?.[row] as number, 6);
    await opened.locator("#copy").click();
    await opened.getByText(`${count} paths copied.`).waitFor();
    const copied = await opened.evaluate(() => navigator.clipboard.readText());
    // With their set: where the files are.
    const set = join(run(), "explore/set");
    expect(copied.split("\n")).toEqual(records.map(({ path }) => join(set, path as string)));
  });

  it("filters by groups and by ranges of numbers", async () => {
    const { opened } = await open();
    const { paths, losses } = await readTable(table);
    const shown = () => opened.locator("#filter-count").textContent();
    expect(await shown()).toBe(`All ${paths.length} images are shown.`);
    const three = opened.locator("#legend button", { hasText: "digit_3" });
    await three.click();
    const threes = paths.filter((path) => path.startsWith("digit_3/")).length;
    await expect.poll(shown).toBe(`${threes} of ${paths.length} images are shown.`);
    expect(await three.getAttribute("aria-pressed")).toBe("true");
    await opened.locator("details[data-column=class] summary").click();
    const box = opened.getByRole("checkbox", { name: "digit_3" });
    expect(await box.isChecked()).toBe(true);
    await opened.getByRole("checkbox", { name: "digit_4" }).check();
    await expect.poll(shown).toBe(`${2 * threes} of ${paths.length} images are shown.`);
    await opened.locator("details[data-column=loss] summary").click();
    await opened.getByRole("slider", { name: "Greatest loss", exact: true }).fill("100");
    const [least, most] = [Math.min(...(losses ?? [])), Math.max(...(losses ?? []))];
    const middle = least + (most - least) / 2;
    const expected = paths.filter(
      (path, i) => /^digit_[34]\//.test(path) && (losses?.[i] as number) <= middle,
    ).length;
    expect(expected).toBeGreaterThan(0);
    await expect.poll(shown).toBe(`${expected} of ${paths.length} images are shown.`);
    // All that is in view is what filters leave.
    await opened.locator("#select-shown").click();
    expect(await selected(opened)).toBe(`${expected} images selected.`);
    // What is selected and then hidden is neither saved nor forgotten.
    await opened.locator("#legend button", { hasText: "digit_3" }).click();
    const fours = () =>
      opened.locator("#export").evaluate((element) => (element as HTMLButtonElement).textContent);
    await expect.poll(() => selected(opened)).toMatch(/^\d+ images? selected, \d+ of them hidden/);
    const hidden = Number(/, (\d+) of them/.exec((await selected(opened)) as string)?.[1]);
    expect(await fours()).toBe(`Save ${expected - hidden} as CSV`);
    await opened.locator("#filters-clear").focus();
    await opened.keyboard.press("Enter");
    await expect.poll(shown).toBe(`All ${paths.length} images are shown.`);
    expect(await box.isChecked()).toBe(false);
    expect(await selected(opened)).toBe(`${expected} images selected.`);
    // The button is gone, and the focus is where it was told.
    expect(await opened.evaluate(() => document.activeElement?.id)).toBe("filter-count");
    // An exact bound; an image without a number is in no range.
    await opened.locator("details[data-column=score] summary").click();
    await opened.getByLabel("Least score, exactly").fill("2.5");
    await opened.getByLabel("Least score, exactly").press("Enter");
    const from3 = paths.filter((_, i) => i > 0 && (i - 1) % 7 >= 3).length;
    await expect.poll(shown).toBe(`${from3} of ${paths.length} images are shown.`);
    await opened.getByRole("slider", { name: "Least score", exact: true }).fill("0");
    await expect.poll(shown).toBe(`All ${paths.length} images are shown.`);
  });

  it("keeps the colours of groups while they are filtered, and shows those without one", async () => {
    const { opened } = await open();
    const colours = () =>
      opened
        .locator("#legend .key")
        .evaluateAll((keys) => keys.map((key) => (key as HTMLElement).style.background));
    const before = await colours();
    expect(new Set(before).size).toBe(10);
    await opened.locator("#legend button", { hasText: "digit_3" }).click();
    await expect
      .poll(() => opened.locator("#legend [aria-pressed=true]").textContent())
      .toContain("digit_3");
    expect(await colours()).toEqual(before);
    await opened.locator("#filters-clear").click();
    await opened.locator("#colour").selectOption("remark");
    const none = opened.locator("#legend button", { hasText: "none" });
    expect(await none.textContent()).toBe("none1");
    await none.click();
    await opened.getByText(/^1 of \d+ images are shown/).waitFor();
  });

  it("finds paths whatever their case, and shows an image's neighbours by embedding", async () => {
    const { opened } = await open();
    await opened.locator("#search").fill("ONERROR=ALERT(1)>.PNG");
    expect(await opened.locator("#search-count").textContent()).toBe("1 image");
    await opened.locator("#search-results button").click();
    expect(await opened.locator("#image .path").textContent()).toBe(`${NASTY}/${NASTY}.png`);
    const read = await readTable(table);
    const { paths } = read;
    const row = paths.indexOf(`${NASTY}/${NASTY}.png`);
    const nearest = nearestRows(read, row, 12);
    const buttons = opened.locator("#neighbours button");
    const shown = await buttons.evaluateAll((all) =>
      all.map((one) => Number((one as HTMLElement).dataset.row)),
    );
    expect(shown).toEqual(nearest);
    await buttons.nth(2).click();
    expect(await opened.locator("#image .path").textContent()).toBe(paths[nearest[2] as number]);
    await opened.locator("#search").fill("nowhere");
    expect(await opened.locator("#search-count").textContent()).toBe("0 images");
  });

  it("shows the image itself, and thumbnails when zoomed in", async () => {
    const { opened } = await open();
    const pictures = opened.locator("#pictures");
    await opened.locator("#search").fill("digit_5/002");
    await opened.locator("#search-results button").click();
    const canvas = opened.locator("#image .picture canvas[data-drawn=true]");
    await canvas.waitFor();
    // Digits are white on black, and the file is 28 pixels a side, drawn larger without a blur.
    const file = await import("../support/pixels.ts").then(({ readImage }) =>
      readImage(join(run(), "explore/set/digit_5/002.png")),
    );
    const drawn = await canvas.evaluate((element) => {
      const { width, height } = element as HTMLCanvasElement;
      const context = (element as HTMLCanvasElement).getContext("2d") as CanvasRenderingContext2D;
      const { data } = context.getImageData(0, 0, width, height);
      const at = (share: number) => Math.floor(((share + 0.5) * width) / 28);
      return Array.from({ length: 28 * 28 }, (_, i) => {
        return data[4 * (at(Math.floor(i / 28)) * width + at(i % 28))] as number;
      });
    });
    const expected = drawn.map((_, i) => file.at(i % 28, Math.floor(i / 28))[0]);
    expect(drawn).toEqual(expected);
    await opened.waitForTimeout(1000);
    await opened.locator("#zoom-in").click();
    await expect
      .poll(async () => Number(await pictures.getAttribute("data-thumbnails")))
      .toBeGreaterThan(2);
    // A thumbnail is what it shows, also beside its point.
    const { x, y, width, height } = (await opened.locator("#points").boundingBox()) as Box;
    await opened.locator("#neighbours button").first().click();
    await opened.mouse.move(x + width / 2 + 14, y + height / 2 + 14, { steps: 3 });
    await opened.locator("#tip").waitFor();
    expect(await opened.locator("#tip").textContent()).toContain("digit_5/002.png");
    await opened.mouse.click(x + width / 2 + 14, y + height / 2 + 14);
    expect(await opened.locator("#image .path").textContent()).toBe("digit_5/002.png");
    await opened.getByLabel("Thumbnails").uncheck();
    expect(await pictures.getAttribute("data-thumbnails")).toBe("0");
  });

  it("shows a tip at the point under the mouse, and takes it by a click", async () => {
    const { opened } = await open();
    await opened.locator("#search").fill("digit_7/003");
    await opened.locator("#search-results button").click();
    await opened.waitForTimeout(1000);
    const { x, y, width, height } = (await opened.locator("#points").boundingBox()) as Box;
    await opened.getByLabel("Thumbnails").uncheck();
    await opened.mouse.move(x + width / 2 - 30, y + height / 2);
    await opened.mouse.move(x + width / 2, y + height / 2, { steps: 5 });
    await opened.locator("#tip").waitFor();
    expect(await opened.locator("#tip").textContent()).toContain("digit_7/003.png");
    expect(await opened.locator("#tip").textContent()).toContain("class: digit_7");
    await opened.locator("#neighbours button").first().click();
    expect(await opened.locator("#image .path").textContent()).not.toBe("digit_7/003.png");
    await opened.locator("#box").click();
    await opened.mouse.click(x + width / 2, y + height / 2);
    expect(await opened.locator("#image .path").textContent()).toBe("digit_7/003.png");
    expect(await selected(opened)).toMatch(/^Nothing is selected/);
  });

  it("obeys the keyboard", async () => {
    const { opened } = await open();
    const map = opened.locator("#points");
    await map.focus();
    const all = await inView(opened);
    for (let i = 0; i < 4; i++) await opened.keyboard.press("+");
    await expect.poll(() => inView(opened)).toBeLessThan(all);
    for (let i = 0; i < 40; i++) await opened.keyboard.press("ArrowLeft");
    await expect.poll(() => inView(opened)).toBe(0);
    await opened.keyboard.press("0");
    await expect.poll(() => inView(opened)).toBe(all);
    await opened.keyboard.press("Enter");
    expect(await opened.locator("#image .path").count()).toBe(1);
    for (const [key, id] of [
      ["l", "lasso"],
      ["b", "box"],
      ["m", "move"],
    ] as const) {
      await map.press(key);
      expect(await opened.locator(`#${id}`).getAttribute("aria-pressed")).toBe("true");
    }
  });

  it("obeys fingers", async () => {
    const { opened, seen } = await open(800, "light", { hasTouch: true });
    const { x, y, width, height } = (await opened.locator("#points").boundingBox()) as Box;
    const session = await opened.context().newCDPSession(opened);
    type Point = [number, number];
    const touch = (type: "touchStart" | "touchMove" | "touchEnd", points: Point[]) =>
      session.send("Input.dispatchTouchEvent", {
        type,
        touchPoints: points.map(([across, down], id) => {
          return { x: x + across * width, y: y + down * height, id };
        }),
      });
    const all = await inView(opened);
    // Two fingers that part zoom in.
    await touch("touchStart", [[0.45, 0.5]]);
    await touch("touchStart", [
      [0.45, 0.5],
      [0.55, 0.5],
    ]);
    for (let i = 1; i <= 8; i++) {
      await touch("touchMove", [
        [0.45 - 0.04 * i, 0.5],
        [0.55 + 0.04 * i, 0.5],
      ]);
    }
    await touch("touchEnd", []);
    await expect.poll(() => inView(opened)).toBeLessThan(all);
    // One finger moves the map, until nothing is left in view.
    for (let round = 0; round < 8; round++) {
      await touch("touchStart", [[0.05, 0.5]]);
      for (let i = 1; i <= 9; i++) await touch("touchMove", [[0.05 + 0.1 * i, 0.5]]);
      await touch("touchEnd", []);
    }
    await expect.poll(() => inView(opened)).toBe(0);
    await opened.locator("#reset").tap();
    await expect.poll(() => inView(opened)).toBe(all);
    // Another one is shown before the one in the middle is tapped.
    for (const path of ["digit_7/003", "digit_1/000"]) {
      await opened.locator("#search").fill(path);
      await opened.locator("#search-results button").tap();
      await opened.waitForTimeout(1000);
    }
    const other = await opened.locator("#image .path").textContent();
    expect(other).toBe("digit_1/000.png");
    await opened.locator("#neighbours button").first().tap();
    expect(await opened.locator("#image .path").textContent()).not.toBe(other);
    // What the first of two fingers began is no lasso.
    await opened.locator("#points").press("a");
    const before = await selected(opened);
    await opened.locator("#box").tap();
    await touch("touchStart", [[0.4, 0.4]]);
    await touch("touchStart", [
      [0.4, 0.4],
      [0.6, 0.6],
    ]);
    await touch("touchMove", [
      [0.39, 0.39],
      [0.61, 0.61],
    ]);
    await touch("touchEnd", []);
    expect(await selected(opened)).toBe(before);
    await opened.locator("#move").tap();
    for (const path of ["digit_7/003", "digit_1/000"]) {
      await opened.locator("#search").fill(path);
      await opened.locator("#search-results button").tap();
      await opened.waitForTimeout(600);
    }
    await opened.locator("#neighbours button").first().tap();
    // A tap on a point takes it, and says what it is.
    await opened.locator("#points").press("Escape");
    await touch("touchStart", [[0.5, 0.5]]);
    await touch("touchEnd", []);
    expect(await opened.locator("#image .path").textContent()).toBe(other);
    expect(await opened.locator("#tip").textContent()).toContain(other);
    expect(seen.console).toEqual([]);
  });

  it.each([
    [360, "light"],
    [360, "dark"],
    [900, "light"],
    [1280, "light"],
    [1280, "dark"],
    [3840, "dark"],
  ] as const)("is accessible at %i pixels, %s", async (width, scheme) => {
    const { opened, seen } = await open(width, scheme);
    await opened.locator("#points").press("Enter");
    await opened.locator("#points").press("a");
    for (const summary of await opened.locator("summary").all()) await summary.click();
    expect(await violations(opened)).toEqual([]);
    expect(await opened.evaluate(() => document.documentElement.scrollWidth)).toBe(width);
    expect(seen.console).toEqual([]);
  });
});
