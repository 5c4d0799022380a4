/** `examples/node`: embeddings by onnxruntime-node, where no libtorch is. */
import { basename, join } from "node:path";
import { describe, expect, it } from "vitest";
import { modelInput } from "../../examples/browser/area_resize.mjs";
import { start, temporaryFolder, trainedRun } from "../support/cli.ts";
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

describe.each(Object.entries(NETWORKS))("%s", (_, settings) => {
  const trained = trainedRun("--train-epochs=1", ...settings);

  it("is the native pass in onnxruntime-node", async () => {
    const out = join(temporaryFolder(), "exported");
    await exportOnnx(trained(), out);
    const { shape, images, embedding, reconstruction } = await nativePass(trained(), 5);
    const whole = await (await onnxruntime(join(out, "ae.onnx")))(images, shape);
    expectClose(whole.embedding ?? [], embedding);
    expectClose(whole.reconstruction ?? [], reconstruction);
    const encoder = await (await onnxruntime(join(out, "en.onnx")))(images, shape);
    expect(Object.keys(encoder)).toEqual(["embedding"]);
    expectClose(encoder.embedding ?? [], embedding);
  });

  it("embeds files of any size as flexae embed does", async () => {
    const folder = temporaryFolder();
    const example = await copyExample("node", folder);
    const model = join(folder, "exported/en.onnx");
    await exportOnnx(trained(), join(folder, "exported"));
    const { shape } = await nativePass(trained(), 1);
    const files = await oddImages(join(folder, "images"), shape);
    // Where a model wants gray, training takes another way to it from a JPEG.
    if (shape[0] === 3) files.push(...otherImages(join(folder, "images")));
    const expected = await embedded(trained(), join(folder, "images"), join(folder, "out.csv"));
    expect(expected.size).toBe(files.length);

    const { code, stdout, stderr } = await start([join(example, "embed.mjs"), model, ...files])
      .ended;
    expect(code, stderr).toBe(0);
    const lines = stdout.trimEnd().split("\n");
    expect(lines.map((line) => line.split(" ")[0])).toEqual(files);

    const run = await onnxruntime(model);
    const embed = async (images: Float32Array) =>
      (await run(images, shape)).embedding as Float32Array;
    for (const [i, file] of files.entries()) {
      const name = basename(file);
      const printed = (lines[i] as string).split(" ").slice(1).map(Number);
      const meant = expected.get(name) as number[];
      const input = await nativeInput(file, shape);
      // What is left between the two is the resizing.
      expectClose(await embed(input), meant);
      if (name.startsWith("same")) expectClose(printed, meant);
      else expect(farthest(printed, meant), name).toBeLessThan(await reachOfOneLevel(embed, input));
    }
  });
});

describe("a graph that resizes", () => {
  const trained = trainedRun("--train-epochs=1", "--image-shape=45,33", "--channels=3");

  it("embeds whole images as flexae embed does, in onnxruntime-node", async () => {
    const folder = temporaryFolder();
    await exportOnnx(trained(), join(folder, "plain"));
    await exportOnnx(trained(), join(folder, "resize"), "--with-resize");
    const plain = await onnxruntime(join(folder, "plain/en.onnx"));
    const resizing = await onnxruntime(join(folder, "resize/en.onnx"));
    const model: [number, number, number] = [3, 45, 33];
    const embed = async (images: Float32Array) =>
      (await plain(images, model)).embedding as Float32Array;
    const files = await oddImages(join(folder, "images"), model);
    const expected = await embedded(trained(), join(folder, "images"), join(folder, "out.csv"));
    for (const file of files) {
      const { pixels, shape } = await wholeImage(file, 3);
      const got = (await resizing(pixels, shape)).embedding ?? [];
      const meant = expected.get(basename(file)) as number[];
      if (basename(file).startsWith("same")) expectClose(got, meant);
      const reach = await reachOfOneLevel(embed, await nativeInput(file, model));
      expect(farthest(got, meant), basename(file)).toBeLessThan(reach);
    }
  });
});

describe("area_resize.mjs", () => {
  it.each([
    [1, 28, 28],
    [3, 45, 33],
    [3, 16, 160],
  ])("is our resizing to within a grey level, to %d×%d×%d", async (...shape) => {
    const folder = join(temporaryFolder(), "images");
    for (const file of await oddImages(folder, shape as [number, number, number])) {
      const { pixels: data, shape: size } = await wholeImage(file, 3);
      const [height, width] = size;
      const got: Float32Array = modelInput({ data, width, height, channels: 3 }, shape);
      const levels =
        255 * farthest(got, await nativeInput(file, shape as [number, number, number]));
      expect(levels, basename(file)).toBeLessThan(basename(file).startsWith("same") ? 1e-4 : 1.001);
    }
  });

  it("drops alpha and takes gray levels as they are", () => {
    const one = { width: 1, height: 1 };
    const levels = (...args: unknown[]) => {
      return Array.from(modelInput(...args) as Float32Array, (value) => Math.round(255 * value));
    };
    expect(levels({ ...one, channels: 2, data: [77, 0] }, [3, 1, 1])).toEqual([77, 77, 77]);
    expect(levels({ ...one, channels: 2, data: [77, 0] }, [1, 1, 1])).toEqual([77]);
    expect(levels({ ...one, channels: 4, data: [255, 0, 0, 9] }, [3, 1, 1])).toEqual([255, 0, 0]);
    // Pillow's convert("L") of pure red, green and blue.
    for (const [data, gray] of [
      [[255, 0, 0], 76],
      [[0, 255, 0], 150],
      [[0, 0, 255], 29],
    ]) {
      expect(levels({ ...one, channels: 3, data }, [1, 1, 1])).toEqual([gray]);
    }
  });
});

describe("embed.mjs", () => {
  it("says how it is used", async () => {
    const example = await copyExample("node", temporaryFolder());
    const { code, stderr } = await start([join(example, "embed.mjs"), "en.onnx"]).ended;
    expect(code).toBe(2);
    expect(stderr).toBe("usage: node embed.mjs EN.ONNX IMAGE...\n");
  });
});
