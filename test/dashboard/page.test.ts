import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Locator, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { type DashboardOptions, serveDashboard } from "../../ts/index.ts";
import { hasBrowser, openedBrowser, openPage, violations } from "../support/browser.ts";
import { flexae, jsonLines, main, smallRun, start, temporaryFolder } from "../support/cli.ts";

/** Markup, and a mark that turns the direction of writing. */
const NASTY = "<img src=x onerror=alert(1)> \u202eabc";
const LONG = { timeout: 60_000, interval: 100 };

describe.skipIf(!hasBrowser("The dashboard"))("the dashboard in Chromium", () => {
  const browser = openedBrowser();
  let logs: string;

  beforeAll(async () => {
    logs = mkdtempSync(join(tmpdir(), "flexae-dashboard-"));
    const train = (name: string, ...more: string[]) =>
      flexae(smallRun("--no-report", `--save-dir=${join(logs, name)}`, ...more));
    const runs = [
      await train("first", "--train-epochs=4"),
      await train("second", "--dims=8", "--seed=7"),
      await train(NASTY, "--dims=8", "--optimizer=sgd"),
    ];
    for (const { code, stderr } of runs) expect(code, stderr).toBe(0);
  });
  afterAll(() => rmSync(logs, { recursive: true, force: true }));

  async function serve(folder: string, options: DashboardOptions = {}) {
    const site = await serveDashboard(folder, options);
    onTestFinished(() => site.close());
    return site;
  }

  async function open(
    url: string,
    {
      width = 1280,
      colorScheme = "light",
    }: { width?: number; colorScheme?: "light" | "dark" } = {},
  ) {
    const opening = await openPage(browser(), url, {
      colorScheme,
      viewport: { width, height: 900 },
    });
    await opening.opened.locator("html[data-ready]").waitFor({ state: "attached" });
    return opening;
  }

  const names = (opened: Page) => opened.locator("#runs tbody th").allTextContents();
  const choose = (opened: Page, name: string) =>
    opened.getByRole("button", { name, exact: true }).first().click();
  const compare = (opened: Page, name: string) =>
    opened.getByRole("checkbox", { name: `Compare ${name}` });
  const numberIn = async (place: Locator, pattern: RegExp) =>
    Number(pattern.exec((await place.textContent()) ?? "")?.[1] ?? Number.NaN);
  /** Of a chart, how many epochs its name says that it shows. */
  const epochsOf = async (opened: Page) => {
    const name = await opened.locator("#curves .chart").first().getAttribute("aria-label");
    return Number(/over (\d+) epoch/.exec(name ?? "")?.[1] ?? 0);
  };

  it("asks nobody but its server, and shows names as they are", async () => {
    const { url } = await serve(logs);
    const { opened, seen } = await open(url);
    expect((await names(opened)).sort()).toEqual([NASTY, "first", "second"]);
    await choose(opened, NASTY);
    expect(await opened.locator("#about h2").textContent()).toBe(NASTY);
    for (const name of ["first", NASTY]) await compare(opened, name).check();
    await expect.poll(() => opened.locator("#compare .chart canvas").count(), LONG).toBe(1);
    expect(await opened.locator("#compare tbody th").allTextContents()).toEqual(["first", NASTY]);
    await opened.reload();
    await expect.poll(() => opened.locator("#compare tbody th").count(), LONG).toBe(2);
    expect(await opened.locator("img[onerror], img[src=x]").count()).toBe(0);
    expect(seen.requests.filter((asked) => !asked.startsWith(url))).toEqual([]);
    expect([seen.console, seen.dialogs]).toEqual([[], []]);
  });

  it("shows a training while it goes on, and stops it for whoever has the token", async () => {
    const folder = temporaryFolder();
    const site = await serve(folder, { control: true });
    const { opened, seen } = await open(site.url);
    expect(opened.url()).not.toContain("token");
    expect(await opened.locator("#empty").textContent()).toContain("flexae run");
    const training = start([
      main,
      ...smallRun("--train-epochs=5000", "--no-report", `--save-dir=${join(folder, "going")}`),
      // Epochs long enough for batches to be told.
      "--batch-size=2",
      "--filters=16,32",
      "--patience=5000",
    ]);
    onTestFinished(() => void training.child.kill("SIGKILL"));
    const line = opened.locator("#run .line");
    await expect.poll(() => numberIn(line, /epoch (\d+) of 5,000/), LONG).toBeGreaterThan(2);
    expect(await opened.locator("#runs tbody .state").textContent()).toBe("running");
    expect(await opened.locator("#counts").textContent()).toBe("1 run, 1 running");
    await expect.poll(() => line.textContent(), LONG).toMatch(/batch \d+ of \d+/);
    expect(await line.textContent()).toMatch(/ left · .*CPU, 1 thread/);
    await expect.poll(() => epochsOf(opened), LONG).toBeGreaterThan(2);
    await opened.locator("#load canvas").nth(2).waitFor();

    // Whoever moves the slider stays where they are while pictures come in.
    const slider = opened.getByRole("slider", { name: "Epoch" });
    await expect.poll(() => slider.getAttribute("max").then(Number), LONG).toBeGreaterThan(0);
    await slider.press("Home");
    const [chosen, most, epochs] = [
      await slider.getAttribute("aria-valuetext"),
      Number(await slider.getAttribute("max")),
      await epochsOf(opened),
    ];
    await opened.locator("#about h2").selectText();
    await expect.poll(() => slider.getAttribute("max").then(Number), LONG).toBeGreaterThan(most);
    await expect.poll(() => epochsOf(opened), LONG).toBeGreaterThan(epochs);
    expect(await slider.getAttribute("aria-valuetext")).toBe(chosen);
    expect(await slider.evaluate((element) => document.activeElement === element)).toBe(true);
    expect(await opened.evaluate(() => String(getSelection()))).toBe("going");

    // Another tab has no token.
    const other = await open(site.url.replace(/#.*/, ""));
    await other.opened.locator("#run .line").waitFor();
    expect(await other.opened.getByRole("button", { name: "Stop …" }).count()).toBe(0);
    const wrong = await open(site.url.replace(/#.*/, "#token=wrong"));
    await wrong.opened.getByRole("button", { name: "Stop …" }).click();
    await wrong.opened.getByRole("button", { name: "Stop it" }).click();
    const refusal = wrong.opened.locator(".stop [role=status]");
    await expect.poll(() => refusal.textContent(), LONG).toMatch(/The token is not the one/);

    await opened.getByRole("button", { name: "Stop …" }).click();
    await opened.keyboard.press("Escape");
    expect(await opened.getByRole("button", { name: "Stop it" }).isVisible()).toBe(false);
    await opened.getByRole("button", { name: "Stop …" }).click();
    await opened.getByRole("button", { name: "Stop it" }).click();
    await training.ended;
    const state = opened.locator("#runs tbody .state");
    await expect.poll(() => state.textContent(), LONG).toBe("interrupted");
    await expect.poll(() => line.textContent(), LONG).toMatch(/of 5,000 epochs/);
    expect(await opened.getByRole("button", { name: "Stop …" }).isVisible()).toBe(false);
    expect([seen.console, seen.dialogs]).toEqual([[], []]);
  });

  it("shows each epoch's picture, by keys", async () => {
    const { url } = await serve(logs);
    const { opened } = await open(`${url}#run=first`);
    const kept = jsonLines(readFileSync(join(logs, "first", "reconstructions.jsonl"), "utf8"));
    const pictures = kept.filter(({ epoch }) => epoch !== 0);
    expect(pictures.length).toBeGreaterThan(1);
    /** Whether an image on the page has the pixels of a file. */
    const isShown = (selector: string, png: unknown) =>
      opened.evaluate(
        async ([selector, png]) => {
          const pixels = async (image: HTMLImageElement) => {
            await image.decode();
            const { naturalWidth: width, naturalHeight: height } = image;
            const canvas = new OffscreenCanvas(width, height);
            const context = canvas.getContext("2d") as OffscreenCanvasRenderingContext2D;
            context.drawImage(image, 0, 0);
            return [width, ...context.getImageData(0, 0, width, height).data].join();
          };
          const shown = document.querySelector<HTMLImageElement>(selector as string);
          const file = new Image();
          file.src = `data:image/png;base64,${png}`;
          return shown !== null && (await pixels(shown)) === (await pixels(file));
        },
        [selector, png],
      );
    const slider = opened.getByRole("slider", { name: "Epoch" });
    await slider.focus();
    for (const { epoch, png } of pictures.reverse()) {
      await expect.poll(() => isShown("#reconstructions img", png), LONG).toBe(true);
      expect(await slider.getAttribute("aria-valuetext")).toBe(`epoch ${epoch}`);
      await slider.press("ArrowLeft");
    }
    const [first] = kept.filter(({ epoch }) => epoch === 0);
    expect(await isShown(".strips img", first?.png)).toBe(true);
    const shown = opened.locator("#reconstructions img");
    const [wide, natural] = await shown.evaluate((image) => [
      image.getBoundingClientRect().width,
      (image as HTMLImageElement).naturalWidth,
    ]);
    expect((wide as number) % (natural as number)).toBe(0);
    await opened.getByRole("button", { name: "Play" }).click();
    const said = opened.locator("span.epoch");
    await expect.poll(() => said.textContent(), LONG).toBe(`epoch ${pictures[0]?.epoch}`);
    await opened.emulateMedia({ reducedMotion: "reduce" });
    await expect.poll(() => opened.getByRole("button", { name: "Play" }).isVisible()).toBe(false);
  });

  it("compares runs: curves, scores and settings that differ, and all runs of the list", async () => {
    const { url } = await serve(logs);
    const { opened, seen } = await open(url);
    await compare(opened, "first").press("Space");
    expect(await opened.locator("#compare").isVisible()).toBe(false);
    await compare(opened, "second").press("Space");
    const chart = opened.locator("#compare .chart");
    await expect.poll(() => chart.getAttribute("aria-label"), LONG).toMatch(/^val_loss of 2 runs/);
    const heads = await opened.locator("#compare thead th").allTextContents();
    expect(heads).toEqual(
      expect.arrayContaining(["Run", "val_loss", "dims", "train_epochs", "seed"]),
    );
    for (const alike of ["optimizer", "filters", "save_dir"]) expect(heads).not.toContain(alike);
    const at = heads.indexOf("dims");
    const cell = (row: number) =>
      opened.locator("#compare tbody tr").nth(row).locator("> *").nth(at);
    expect([await cell(0).textContent(), await cell(1).textContent()]).toEqual(["16", "8"]);
    await opened.locator("#compare-column").selectOption("accuracy");
    expect(await chart.getAttribute("aria-label")).toMatch(/^accuracy of 2 runs/);

    // The run that was not ticked has a line among all, too.
    const axes = opened.locator("#parallel .name");
    expect(await axes.allTextContents()).toEqual(
      expect.arrayContaining(["dims", "optimizer", "val_loss"]),
    );
    expect(await opened.locator("#parallel .line").count()).toBe(3);

    const entry = opened.locator("#compare .legend button").first();
    await entry.click();
    expect(await entry.getAttribute("aria-pressed")).toBe("true");
    await compare(opened, "second").press("Space");
    expect(await opened.locator("#compare").isVisible()).toBe(false);
    await opened.locator("#compare-shown").click();
    await expect.poll(() => opened.locator("#compare .legend li").count(), LONG).toBe(3);
    await opened.locator("#compare-none").click();
    expect(await opened.locator("#runs input:checked").count()).toBe(0);
    expect(seen.console).toEqual([]);
  });

  it("filters and sorts the list, and goes through it by keys", async () => {
    const { url } = await serve(logs);
    const { opened } = await open(url);
    for (const [words, found] of [
      ["sec", ["second"]],
      ["FINISHED dims=8", [NASTY, "second"]],
      ["dims=8 optimizer!=adam", [NASTY]],
      ["onerror", [NASTY]],
      ["dims>8", ["first"]],
      ["val_loss>1000", []],
      ["", [NASTY, "first", "second"]],
    ] as const) {
      await opened.locator("#filter").fill(words);
      expect((await names(opened)).sort()).toEqual(found);
    }
    await opened.locator("#filter").fill("dims=8");
    await opened.reload();
    await expect.poll(async () => (await names(opened)).sort(), LONG).toEqual([NASTY, "second"]);
    await opened.locator("#filter").fill("");
    await opened.getByRole("button", { name: "Run", exact: true }).first().click();
    expect(await names(opened)).toEqual([NASTY, "first", "second"]);
    await opened.getByRole("button", { name: "Epochs" }).click();
    expect((await names(opened))[0]).toBe("first");
    expect(await opened.locator("th[aria-sort]").getAttribute("aria-sort")).toBe("descending");
    await opened.locator("#runs .name").first().focus();
    await opened.keyboard.press("End");
    await opened.keyboard.press("Enter");
    const last = (await names(opened)).at(-1);
    expect(await opened.locator("#about h2").textContent()).toBe(last);
    expect(await opened.locator("#runs [aria-current]").textContent()).toBe(last);
    await opened.keyboard.press("ArrowUp");
    const focused = await opened.evaluate(() => document.activeElement?.textContent);
    expect(focused).toBe((await names(opened)).at(-2));
  });

  it("says when its server is gone, and goes on with the next one there", async () => {
    const folder = join(temporaryFolder(), "logs");
    mkdirSync(folder);
    cpSync(join(logs, "first"), join(folder, "first"), { recursive: true });
    cpSync(join(logs, "second"), join(folder, "second"), { recursive: true });
    const site = await serveDashboard(folder);
    const { opened, seen } = await open(site.url);
    await choose(opened, "first");
    await compare(opened, "first").check();
    await opened.getByRole("slider", { name: "Epoch" }).press("Home");
    await site.close();
    // As whoever comes back to the tab has it.
    const look = () => opened.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
    const connection = opened.locator("#connection");
    await look();
    await expect.poll(() => connection.textContent(), LONG).toMatch(/^Not reached since \d\d:/);
    expect(await opened.locator("#about h2").textContent()).toBe("first");
    // Its ids are others.
    rmSync(join(folder, "second"), { recursive: true });
    cpSync(join(logs, NASTY), join(folder, "another"), { recursive: true });
    await serve(folder, { port: Number(new URL(site.url).port) });
    await expect.poll(() => connection.textContent(), LONG).toBe("Live");
    await expect.poll(async () => (await names(opened)).sort(), LONG).toEqual(["another", "first"]);
    expect(await opened.locator("#about h2").textContent()).toBe("first");
    expect(await compare(opened, "first").isChecked()).toBe(true);
    expect(await opened.locator("span.epoch").textContent()).toBe("epoch 1");
    await expect.poll(() => epochsOf(opened), LONG).toBe(4);
    // Chromium itself tells of each request that reached nobody.
    expect(seen.console.filter((text) => !text.includes("ERR_CONNECTION_REFUSED"))).toEqual([]);
  });

  it.each([
    [360, "light"],
    [360, "dark"],
    [1280, "light"],
    [1280, "dark"],
    [3840, "dark"],
  ] as const)("is accessible at %i pixels, %s", async (width, colorScheme) => {
    const { url } = await serve(logs);
    const { opened, seen } = await open(url, { width, colorScheme });
    await opened.locator("#curves canvas").nth(3).waitFor();
    for (const summary of await opened.locator("summary").all()) await summary.click();
    expect(await violations(opened)).toEqual([]);
    const wide = () => opened.evaluate(() => document.documentElement.scrollWidth);
    expect(await wide()).toBe(width);
    await opened.locator("#compare-shown").click();
    await opened.locator("#compare canvas").waitFor();
    expect(await violations(opened)).toEqual([]);
    expect(await wide()).toBe(width);
    expect(seen.console).toEqual([]);
  });
});
