import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { beforeAll, describe, expect, inject, it } from "vitest";
import { renderPage } from "../../ts/report/page.ts";
import type { Sample } from "../../ts/report/sample.ts";
import { hasBrowser, openedBrowser, openPage, violations } from "../support/browser.ts";
import { flexae, root, smallRun } from "../support/cli.ts";
import { epochs, runWith, sampleOf } from "../support/report.ts";

const NASTY = "<img src=x onerror=alert(1)>";
describe.skipIf(!hasBrowser("The pages of runs"))("report.html in Chromium", () => {
  const browser = openedBrowser();
  let folder: string;
  let page: string;

  /** Images whose class and one file have names that are markup. */
  function makeSet(name: string): string {
    const set = join(folder, name);
    for (const digit of readdirSync(join(inject("digits"), name))) {
      const from = join(inject("digits"), name, digit);
      const to = join(set, digit === "digit_0" ? NASTY : digit);
      mkdirSync(to, { recursive: true });
      for (const file of readdirSync(from)) {
        copyFileSync(join(from, file), join(to, file === "000.png" ? `${NASTY}.png` : file));
      }
    }
    return set;
  }

  beforeAll(async () => {
    folder = join(inject("digits"), "report");
    mkdirSync(folder);
    const [train, valid] = [makeSet("train"), makeSet("valid")];
    copyFileSync(import.meta.filename, join(valid, NASTY, `bad ${NASTY}.png`));
    const { code, stderr } = await flexae([
      ...smallRun("--train-epochs=8", "--max-bad=0.1", `--save-dir=${join(folder, NASTY)}`),
      `--train-dir=${train}`,
      `--valid-dir=${valid}`,
    ]);
    expect(code, stderr).toBe(0);
    page = join(folder, NASTY, "report.html");
  });

  async function open(file: string, width: number, colorScheme: "light" | "dark") {
    const viewport = { width, height: 900 };
    const page = await openPage(browser(), pathToFileURL(file).href, { colorScheme, viewport });
    await page.opened.locator(".chart canvas").nth(3).waitFor();
    return page;
  }

  it("is one small file that shows names as they are, and runs none of them", async () => {
    expect(statSync(page).size).toBeLessThan(3_000_000);
    const { opened, seen } = await open(page, 1280, "light");
    expect(seen.console).toEqual([]);
    expect(seen.dialogs).toEqual([]);
    expect(seen.requests.filter((url) => !url.startsWith("data:"))).toEqual([
      pathToFileURL(page).href,
    ]);
    expect(await opened.locator("img[onerror], img[src=x]").count()).toBe(0);
    expect(await opened.locator("h2").textContent()).toBe(NASTY);
    expect(await opened.locator("#r0-bad td.file").textContent()).toContain(`bad ${NASTY}.png`);
    const names = await opened.locator("#r0-points title").allTextContents();
    expect(names).toContain(`${NASTY}/${NASTY}.png`);
    expect(names).toHaveLength(50);
  });

  it("shows curves, pairs, the network, the embedding and the settings", async () => {
    const { opened } = await open(page, 1280, "light");
    expect(await opened.locator("h3").allTextContents()).toEqual([
      "Curves",
      "Before and after",
      "Network",
      "Embedding",
      "Bad images",
      "Settings",
      "Versions and machine",
    ]);
    expect(await opened.locator(".triple").count()).toBe(12);
    const widths = await opened
      .locator("img")
      .evaluateAll((images) => images.map((image) => (image as HTMLImageElement).naturalWidth));
    expect(widths).toEqual([...Array(36).fill(28), 16]);
    expect(await opened.locator(".histograms figure").count()).toBe(16);
    expect(await opened.locator("#r0-curves details tbody tr").count()).toBe(8);
    expect(await opened.locator("#r0-curves tr.best").count()).toBe(1);
    const settings = await opened.locator("#r0-settings > .scroll th[scope=row]").allTextContents();
    expect(settings).toEqual(expect.arrayContaining(["filters", "dims", "threads"]));
    expect(settings).not.toContain("use_bias");
    const drawn = await opened.locator(".chart canvas").evaluateAll((all) =>
      all.map((one) => {
        const { width, height } = one as HTMLCanvasElement;
        const context = (one as HTMLCanvasElement).getContext("2d") as CanvasRenderingContext2D;
        return new Set(new Uint32Array(context.getImageData(0, 0, width, height).data.buffer)).size;
      }),
    );
    for (const colors of drawn) expect(colors).toBeGreaterThan(10);
  });

  it("picks a group out of the map, and lets go of it", async () => {
    const { opened } = await open(page, 1280, "light");
    const button = opened.getByRole("button", { name: "digit_3" });
    await button.click();
    expect(await opened.locator("#r0-points .faded").count()).toBe(9);
    expect(await button.getAttribute("aria-pressed")).toBe("true");
    await button.click();
    expect(await opened.locator("#r0-points .faded").count()).toBe(0);
  });

  it.each([
    [360, "light"],
    [360, "dark"],
    [1280, "light"],
    [1280, "dark"],
    [3840, "light"],
  ] as const)("is accessible at %i pixels, %s", async (width, scheme) => {
    const { opened, seen } = await open(page, width, scheme);
    const ground = await opened.evaluate(() => getComputedStyle(document.body).backgroundColor);
    expect(ground).toBe(scheme === "dark" ? "rgb(16, 19, 24)" : "rgb(246, 246, 244)");
    for (const summary of await opened.locator("summary").all()) await summary.click();
    expect(await violations(opened)).toEqual([]);
    // Only tables and drawings scroll sideways, in their own frames.
    expect(await opened.evaluate(() => document.documentElement.scrollWidth)).toBe(width);
    expect(seen.console).toEqual([]);
  });

  it("is printed light, whatever the screen is", async () => {
    const { opened } = await open(page, 1280, "dark");
    await opened.emulateMedia({ media: "print", colorScheme: "dark" });
    const ground = await opened.evaluate(() => getComputedStyle(document.body).backgroundColor);
    expect(ground).toBe("rgb(255, 255, 255)");
  });

  it("has several runs in one page", async () => {
    const second = join(folder, "second");
    const trained = await flexae(smallRun("--no-report", `--save-dir=${second}`));
    expect(trained.code, trained.stderr).toBe(0);
    expect(readdirSync(second)).not.toContain("report.html");
    const both = join(folder, "both.html");
    const made = await flexae(["report", join(folder, NASTY), second, "-o", both]);
    expect(made.code, made.stderr).toBe(0);
    const { opened, seen } = await open(both, 1280, "light");
    expect(await opened.locator("article h2").allTextContents()).toEqual([NASTY, "second"]);
    expect(await opened.locator("tbody").first().locator("tr").count()).toBe(2);
    expect(await opened.locator(".chart canvas").count()).toBe(8);
    expect(await violations(opened)).toEqual([]);
    expect(seen.console).toEqual([]);
  });

  it("keeps tall images, names and large losses in place", async () => {
    const image = new Uint8Array(512 * 8);
    // The override reaches to the end of what it is in.
    const example = { kind: "best", name: "\u202eabc.png", loss: 0.5, image } as const;
    const sample: Sample = {
      ...sampleOf([0, 1, 1, 0, 0.5, 0.5], 2),
      inputShape: [1, 512, 8],
      examples: [{ ...example, output: new Float32Array(512 * 8) }],
      map: {
        method: "principal components",
        places: Float32Array.from([0, 0, 1, 1, 0.5, 1]),
        groups: { by: "class", names: ["a".repeat(40), "W".repeat(19)], of: [0, 1, 1] },
        names: ["0.png", "1.png", "2.png"],
      },
    };
    const files = runWith({ epochs: epochs(9).map((e) => ({ ...e, loss: 1.23e20 * e.epoch })) });
    const [script, style] = ["report.js", "report.css"].map((name) =>
      readFileSync(join(root, "dist/web", name), "utf8"),
    ) as [string, string];
    const crafted = join(folder, "crafted.html");
    writeFileSync(crafted, renderPage([{ files, sample }], { script, style }));
    const { opened } = await open(crafted, 1280, "light");
    const boxOf = async (selector: string) => {
      const box = await opened.locator(selector).first().boundingBox();
      return box as NonNullable<typeof box>;
    };
    expect((await boxOf(".triple img")).height).toBeLessThan(400);
    const [name, loss] = [await boxOf("figcaption .file"), await boxOf("figcaption .file + .dim")];
    expect(loss.x).toBeGreaterThanOrEqual(name.x + name.width);
    const map = await boxOf("#r0-points");
    for (const label of await opened.locator("#r0-points text").all()) {
      const box = (await label.boundingBox()) as typeof map;
      expect(box.x).toBeGreaterThan(map.x);
      expect(box.x + box.width).toBeLessThan(map.x + map.width);
    }
    // The axis takes what its labels, such as 1.00e21, want.
    const [chart, drawing] = [await boxOf(".chart"), await boxOf(".chart .u-over")];
    expect(drawing.x - chart.x).toBeGreaterThan(60);
  });
});
