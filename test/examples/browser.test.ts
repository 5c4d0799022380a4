/// <reference lib="dom" />
/** `examples/browser`: a page that embeds images, in headless Chromium. */
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { Page } from "playwright-core";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import { hasBrowser, openedBrowser, serve } from "../support/browser.ts";
import { flexae, jsonLines, temporaryFolder, trainedRun } from "../support/cli.ts";
import {
  copyExample,
  embedded,
  expectClose,
  exportOnnx,
  farthest,
  NETWORKS,
  nativeInput,
  nativePass,
  oddImages,
  onnxruntime,
  otherImages,
  reachOfOneLevel,
  wholeImage,
} from "../support/examples.ts";

const there = describe.skipIf(!hasBrowser("test/examples/browser.test.ts"));
const browser = openedBrowser();

/** The example as its README has it, with the model of a run. */
async function site(run: string): Promise<string> {
  const folder = await copyExample("browser", temporaryFolder());
  await exportOnnx(run, join(folder, "model"));
  return folder;
}

/** The page of a folder. What it asks for must be on this server, and it may throw nothing. */
async function open(
  folder: string,
  options: { colorScheme?: "light" | "dark" } = {},
): Promise<Page> {
  const url = await serve(folder);
  const page = await browser().newPage(options);
  const wrong: string[] = [];
  page.on("pageerror", (error) => wrong.push(error.message));
  page.on("request", (request) => {
    if (!/^(data|blob):/.test(request.url()) && !request.url().startsWith(url)) {
      wrong.push(request.url());
    }
  });
  onTestFinished(async () => {
    await page.close();
    expect(wrong).toEqual([]);
  });
  await page.goto(url);
  return page;
}

/** Drops a file on the page, as a person would. */
async function drop(page: Page, file: string): Promise<void> {
  const given = { name: basename(file), bytes: [...readFileSync(file)] };
  await page.evaluate(({ name, bytes }) => {
    const files = new DataTransfer();
    files.items.add(new File([Uint8Array.from(bytes)], name, { type: "image/png" }));
    const target = document.querySelector("#drop") as Element;
    for (const type of ["dragover", "drop"]) {
      const event = new DragEvent(type, { dataTransfer: files, bubbles: true, cancelable: true });
      target.dispatchEvent(event);
    }
  }, given);
}

const textOf = (page: Page, selector: string) => page.locator(selector).innerText();

/** Drops a file, and gives the embedding that the page then shows. */
async function dropped(page: Page, file: string): Promise<number[]> {
  const numbers = page.locator("#numbers");
  await numbers.evaluate((element) => element.replaceChildren());
  await drop(page, file);
  await page.waitForFunction(() => document.querySelector("#numbers")?.textContent !== "");
  return ((await numbers.textContent()) as string).split(" ").map(Number);
}

/** What `model.mjs` gives of the page's model. */
async function run(page: Page, images: Float32Array) {
  // As text: vitest would rewrite the import.
  const got = await page.evaluate(`(async () => {
    const { loadModel } = await import(location.href + "model.mjs");
    globalThis.loaded ??= await loadModel("model/ae.onnx");
    const given = await loaded.run(Float32Array.from(${JSON.stringify([...images])}));
    return [[...given.embedding], [...given.reconstruction]];
  })()`);
  const [embedding, reconstruction] = got as [number[], number[]];
  return { embedding, reconstruction };
}

there.each(Object.entries(NETWORKS))("%s", (_, settings) => {
  const trained = trainedRun("--train-epochs=1", ...settings);

  // One test, since each page compiles onnxruntime anew.
  it("computes what the native pass does, and of a file what flexae embed does", async () => {
    const folder = await site(trained());
    const page = await open(folder);
    const { shape, images, embedding, reconstruction } = await nativePass(trained(), 5);
    const got = await run(page, images);
    expectClose(got.embedding, embedding);
    expectClose(got.reconstruction, reconstruction);

    const files = await oddImages(join(folder, "files"), shape);
    // Where a model wants gray, training takes another way to it from a JPEG; and Chromium turns no
    // WebP.
    const others = shape[0] === 3 ? otherImages(join(folder, "files")) : [];
    files.push(...others.filter((file) => !file.endsWith("turned6.webp")));
    const expected = await embedded(trained(), join(folder, "files"), join(folder, "out.csv"));
    const outputs = await onnxruntime(join(folder, "model/en.onnx"));
    const embed = async (images: Float32Array) =>
      (await outputs(images, shape)).embedding as Float32Array;
    for (const file of files) {
      const name = basename(file);
      const meant = expected.get(name) as number[];
      const numbers = await dropped(page, file);
      if (name.startsWith("same")) {
        expectClose(numbers, meant);
      } else {
        const input = await nativeInput(file, shape);
        expect(farthest(numbers, meant), name).toBeLessThan(await reachOfOneLevel(embed, input));
      }
    }
  });
});

there("a graph that resizes", () => {
  const trained = trainedRun("--train-epochs=1");

  it("gives in onnxruntime-web what it gives in onnxruntime-node", async () => {
    const folder = await copyExample("browser", temporaryFolder());
    await exportOnnx(trained(), join(folder, "model"), "--with-resize");
    const outputs = await onnxruntime(join(folder, "model/ae.onnx"));
    const page = await open(folder);
    // The page itself wants the other kind.
    const said = "model/ae.onnx takes uint8: export it without --input and --with-resize.";
    await page.locator("#status").getByText(said).waitFor();
    for (const file of await oddImages(join(folder, "files"), [1, 28, 28])) {
      const { pixels, shape } = await wholeImage(file, 1);
      const got = (await page.evaluate(`(async () => {
        const ort = await import(
          location.href + "node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs"
        );
        globalThis.session ??= await ort.InferenceSession.create("model/ae.onnx");
        const bytes = Uint8Array.from(${JSON.stringify([...pixels])});
        const images = new ort.Tensor("uint8", bytes, ${JSON.stringify([1, ...shape])});
        const { embedding, reconstruction } = await session.run({ images });
        return [[...embedding.data], [...reconstruction.data]];
      })()`)) as [number[], number[]];
      const expected = await outputs(pixels, shape);
      expectClose(got[0], expected.embedding ?? []);
      expectClose(got[1], expected.reconstruction ?? []);
    }
  });
});

there("the page", () => {
  const trained = trainedRun();

  async function siteWithTable(): Promise<string> {
    const folder = await site(trained());
    cpSync(join(inject("digits"), "valid"), join(folder, "images"), { recursive: true });
    const args = ["embed", trained(), "images", "-o", "embeddings.jsonl", "--precision=fp32"];
    const { code, stderr } = await flexae(args, { cwd: folder });
    expect(code, stderr).toBe(0);
    return folder;
  }

  it("shows image, reconstruction, bars and the neighbours that flexae similar finds", async () => {
    const folder = await siteWithTable();
    const file = join(inject("digits"), "train/digit_5/003.png");
    const args = ["similar", "embeddings.jsonl", file, "-n", "12", "--model", trained(), "--json"];
    const { code, stdout, stderr } = await flexae(args, { cwd: folder });
    expect(code, stderr).toBe(0);
    const matches = jsonLines(stdout)[0]?.matches as { path: string; distance: number }[];

    const page = await open(folder);
    await page.setInputFiles("#file", file);
    await page.waitForSelector("#neighbours li");
    expect(await textOf(page, "#about")).toBe("The model takes 28 × 28 pixels in gray levels.");
    expect(await textOf(page, "#size")).toBe("from 28 × 28 pixels");
    expect(await textOf(page, "#among")).toBe("among 50 images, by Euclidean distance");
    const items = page.locator("#neighbours li");
    const titles = await items.evaluateAll((all) => all.map((item) => item.getAttribute("title")));
    expect(titles).toEqual(matches.map(({ path }) => path));
    const distances = await items.locator("small").allInnerTexts();
    for (const [i, { distance }] of matches.entries()) {
      expect(Math.abs(Number(distances[i]) / distance - 1)).toBeLessThan(1e-3);
    }
    const widths = items.locator("img").evaluateAll((images) =>
      Promise.all(
        images.map(async (image) => {
          await (image as HTMLImageElement).decode();
          return (image as HTMLImageElement).naturalWidth;
        }),
      ),
    );
    expect(await widths).toEqual(Array(12).fill(28));

    // The canvases hold what went in and what came out.
    const canvas = (id: string) =>
      page.evaluate((name) => {
        const element = document.getElementById(name) as HTMLCanvasElement;
        const context = element.getContext("2d") as CanvasRenderingContext2D;
        return [...context.getImageData(0, 0, 28, 28).data].filter((_, i) => i % 4 === 1);
      }, id);
    const input = await nativeInput(file, [1, 28, 28]);
    const { embedding, reconstruction } = await run(page, input);
    expect(
      farthest(
        await canvas("input"),
        input.map((value) => 255 * value),
      ),
    ).toBeLessThan(0.01);
    const levels = reconstruction.map((value) => 255 * value);
    expect(farthest(await canvas("reconstruction"), levels)).toBeLessThan(0.51);
    const bars = await page.locator("#bars rect").evaluateAll((all) =>
      all.map((bar) => {
        const height = Number(bar.getAttribute("height"));
        return bar.getAttribute("class") === "below" ? -height : height;
      }),
    );
    const most = Math.max(...embedding.map(Math.abs));
    expect(
      farthest(
        bars,
        embedding.map((value) => value / most),
      ),
    ).toBeLessThan(1e-5);
  });

  it("does without a table, and says what it cannot do", async () => {
    const folder = await site(trained());
    const page = await open(folder);
    const text = join(folder, "notes.png");
    writeFileSync(text, "no image");
    await drop(page, text);
    const status = page.locator("#status");
    await status.getByText("notes.png is no image that this browser can read.").waitFor();
    expect(await page.locator("#results").isVisible()).toBe(false);
    await drop(page, join(inject("digits"), "valid/digit_1/000.png"));
    await status.getByText("No neighbours: embeddings.jsonl cannot be loaded (404).").waitFor();
    expect(await page.locator("#reconstruction").isVisible()).toBe(true);
    expect(await page.locator("#near").isVisible()).toBe(false);

    writeFileSync(join(folder, "embeddings.jsonl"), '{"path":"a.png","embedding":[1,2]}\n');
    await page.reload();
    await drop(page, join(inject("digits"), "valid/digit_1/000.png"));
    await status.getByText("embeddings.jsonl holds embeddings of another model.").waitFor();

    rmSync(join(folder, "model"), { recursive: true });
    await page.reload();
    await status.getByText("model/ae.onnx cannot be loaded (404).").waitFor();
    expect(await textOf(page, "#about")).toBe("There is no model yet: see README.md.");
  });

  it("names neighbours whose pictures are elsewhere", async () => {
    const folder = await siteWithTable();
    rmSync(join(folder, "images"), { recursive: true });
    mkdirSync(join(folder, "images"));
    const page = await open(folder);
    await drop(page, join(inject("digits"), "valid/digit_1/000.png"));
    await page.waitForFunction(() => document.querySelectorAll("#neighbours .none").length === 12);
    expect(await textOf(page, "#neighbours li:first-child b")).toBe("digit_1");
  });

  it.each(["light", "dark"] as const)("can be read where %s is preferred", async (colorScheme) => {
    const page = await open(await copyExample("browser", temporaryFolder()), { colorScheme });
    // Relative luminance and contrast, as WCAG 2 defines them.
    const contrasts = await page.evaluate(() => {
      const luminance = (colour: string) => {
        const [red, green, blue] = (colour.match(/\d+/g) as string[]).map((digits) => {
          const level = Number(digits) / 255;
          return level <= 0.04045 ? level / 12.92 : ((level + 0.055) / 1.055) ** 2.4;
        }) as [number, number, number];
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
      };
      const page = luminance(getComputedStyle(document.body).backgroundColor);
      const card = luminance(
        getComputedStyle(document.querySelector(".card") as Element).backgroundColor,
      );
      const contrast = (of: string, ground: number) => {
        const colour = luminance(getComputedStyle(document.querySelector(of) as Element).color);
        return (Math.max(colour, ground) + 0.05) / (Math.min(colour, ground) + 0.05);
      };
      return {
        page,
        least: Math.min(
          ...["h1", "#about", "#status"].map((of) => contrast(of, page)),
          ...["h2", "figcaption span", "#numbers", ".drop small"].map((of) => contrast(of, card)),
        ),
      };
    });
    if (colorScheme === "dark") expect(contrasts.page).toBeLessThan(0.05);
    else expect(contrasts.page).toBeGreaterThan(0.8);
    expect(contrasts.least).toBeGreaterThan(4.5);
  });
});
