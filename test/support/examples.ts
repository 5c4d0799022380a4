/** The examples as a user has them, networks to try them with, and what they are to give. */
import { cpSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, join } from "node:path";
import { parse } from "csv-parse/sync";
import { expect } from "vitest";
import { examplePackages } from "../../scripts/setup/examples.mjs";
import { loadAddon } from "../../ts/addon/loader.ts";
import { load } from "../../ts/index.ts";
import { flexae, root } from "./cli.ts";
import { readImage } from "./pixels.ts";
import { seededRandom } from "./random.ts";

/** Settings of networks that differ in what a graph is made of, by what they are there for. */
export const NETWORKS: Record<string, string[]> = {
  strided: [],
  "RGB, odd sizes, pooled": [
    "--image-shape=45,33",
    "--channels=3",
    "--pooling=max,avg",
    "--strides=1",
    "--activation=gelu",
    "--dims=20,12",
  ],
  "without dense layers": [
    "--image-shape=24,40",
    "--kernel-size=5,4",
    "--activation=swish",
    "--autoencoder-mlp-switch=false",
  ],
};

/** Copies an example, with `browser`, whose resizing all share; links its packages beside it. */
export async function copyExample(name: "node" | "browser", into: string): Promise<string> {
  for (const folder of new Set([name, "browser"])) {
    cpSync(join(root, "examples", folder), join(into, folder), {
      recursive: true,
      filter: (path) => basename(path) !== "node_modules",
    });
  }
  symlinkSync(await examplePackages(name), join(into, name, "node_modules"));
  return join(into, name);
}

/** A package of an example, as far as tests use it. */
export async function examplePackage<T>(example: "node" | "browser", name: string): Promise<T> {
  return createRequire(join(await examplePackages(example), "index.js"))(name) as T;
}

/** Exports `ae.onnx` and `en.onnx`. */
export async function exportOnnx(run: string, out: string, ...more: string[]): Promise<void> {
  const { code, stderr } = await flexae(["export", run, "--to=onnx", `--out=${out}`, ...more]);
  expect(code, stderr).toBe(0);
}

/** The part of onnxruntime-node that tests use. */
interface Onnxruntime {
  InferenceSession: {
    create(path: string): Promise<{
      run(feeds: { images: unknown }): Promise<Record<string, { data: Float32Array }>>;
    }>;
  };
  Tensor: new (
    type: "float32" | "uint8",
    data: Float32Array | Uint8Array,
    dims: number[],
  ) => unknown;
}

/**
 * A graph in onnxruntime-node: takes images of a shape, floats or bytes, and gives its outputs by
 * their names.
 */
export async function onnxruntime(
  path: string,
): Promise<
  (
    images: Float32Array | Uint8Array,
    shape: readonly number[],
  ) => Promise<Record<string, Float32Array>>
> {
  const { InferenceSession, Tensor } = await examplePackage<Onnxruntime>(
    "node",
    "onnxruntime-node",
  );
  const session = await InferenceSession.create(path);
  return async (images, shape) => {
    const dims = [images.length / shape.reduce((a, b) => a * b), ...shape];
    const type = images instanceof Uint8Array ? "uint8" : "float32";
    const outputs = await session.run({ images: new Tensor(type, images, dims) });
    return Object.fromEntries(Object.entries(outputs).map(([name, { data }]) => [name, data]));
  };
}

export interface Pass {
  shape: [number, number, number];
  images: Float32Array;
  embedding: Float32Array;
  reconstruction: Float32Array;
}

/** Random images, and what the native pass makes of them. */
export async function nativePass(run: string, count: number): Promise<Pass> {
  const model = await load(join(run, "ae.pt"), { device: "cpu", precision: "fp32" });
  const shape = model.inputShape as Pass["shape"];
  const random = seededRandom(1);
  const images = Float32Array.from({ length: count * shape[0] * shape[1] * shape[2] }, random);
  const { data: embedding } = await model.encode(images);
  const { data: reconstruction } = await model.reconstruct(images);
  model.dispose();
  return { shape, images, embedding, reconstruction };
}

/** Expects numbers within 1e-5, of those above 1 relative to their size. */
export function expectClose(got: ArrayLike<number>, expected: ArrayLike<number>): void {
  expect(got.length).toBe(expected.length);
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    const meant = expected[i] as number;
    const error = Math.abs((got[i] as number) - meant) / Math.max(1, Math.abs(meant));
    if (!(error <= worst)) worst = error;
  }
  expect(worst).toBeLessThan(1e-5);
}

/** The greatest difference. */
export function farthest(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  return Array.from(a, (x, i) => Math.abs(x - (b[i] as number))).reduce((x, y) => Math.max(x, y));
}

/** What a run's training makes of an image file: N×C×H×W floats in [0, 1]. */
export async function nativeInput(file: string, shape: Pass["shape"]): Promise<Float32Array> {
  const [channels, height, width] = shape;
  const load = { interpolation: "area", workers: 1, cache: "none", maxPixels: 1e8 } as const;
  const bytes = await loadAddon().decodeImages([file], { width, height, channels }, load);
  return Float32Array.from(bytes, (value) => value / 255);
}

/** As each number of the input moves by a grey level, up or down: how far the embedding moves. */
export async function reachOfOneLevel(
  embed: (images: Float32Array) => Promise<ArrayLike<number>>,
  input: Float32Array,
): Promise<number> {
  const random = seededRandom(2);
  const draws = 8;
  // The input itself comes first.
  const images = Float32Array.from({ length: (1 + draws) * input.length }, (_, i) => {
    const level = i < input.length ? 0 : random() < 0.5 ? -1 : 1;
    return (input[i % input.length] as number) + level / 255;
  });
  const embeddings = Array.from(await embed(images));
  const dims = embeddings.length / (1 + draws);
  return Math.max(
    ...embeddings.map((value, i) => Math.abs(value - (embeddings[i % dims] as number))),
  );
}

/** An image file at its full size: rows × columns × channels of bytes, as training decodes it. */
export async function wholeImage(
  file: string,
  channels: number,
): Promise<{ pixels: Uint8Array; shape: [number, number, number] }> {
  const { width, height, at } = await readImage(file);
  const pixels = Uint8Array.from({ length: width * height * channels }, (_, i) => {
    const pixel = Math.floor(i / channels);
    const [red, green, blue] = at(pixel % width, Math.floor(pixel / width));
    if (channels === 1) return (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16;
    return [red, green, blue][i % 3] as number;
  });
  return { pixels, shape: [height, width, channels] };
}

/** What `flexae embed` gives for the images of a folder, by their names. */
export async function embedded(
  run: string,
  folder: string,
  out: string,
): Promise<Map<string, number[]>> {
  const args = ["embed", run, folder, `--out=${out}`, "--precision=fp32", "--device=cpu"];
  const { code, stderr } = await flexae(args);
  expect(code, stderr).toBe(0);
  const rows = parse(readFileSync(out), { columns: true }) as Record<string, string>[];
  return new Map(
    rows.map(({ filename, ...row }) => [
      filename as string,
      Object.entries(row)
        .filter(([name]) => name.startsWith("embedding_"))
        .map(([, value]) => Number(value)),
    ]),
  );
}

/**
 * Copies image files in colours that Node's example and browsers read as training does: of more
 * bits, with a palette, turned by their EXIF data, JPEG and WebP.
 *
 * @returns their paths
 */
export function otherImages(folder: string): string[] {
  const fixtures = join(root, "test/fixtures/images");
  mkdirSync(folder, { recursive: true });
  const names = [
    "deep.png",
    "palette.png",
    "bad_profile.png",
    "turned6.png",
    "color.jpg",
    "progressive.jpg",
    "turned7.jpg",
    "gray.jpg",
    "lossy.webp",
    "turned6.webp",
  ];
  return names.map((name) => {
    cpSync(join(fixtures, name), join(folder, name));
    return join(folder, name);
  });
}

/** The part of sharp that tests use. */
type Sharp = (
  pixels: Uint8Array,
  options: { raw: { width: number; height: number; channels: 1 | 3 } },
) => { png(): { toFile(path: string): Promise<unknown> } };

/**
 * Writes PNG files of odd sizes, gray and in colours, larger and smaller than the model's input,
 * and of its own size. Half of what is in them is smooth, half is noise.
 *
 * @returns their paths; the name of the last begins with `same`
 */
export async function oddImages(folder: string, shape: Pass["shape"]): Promise<string[]> {
  const sharp = await examplePackage<Sharp>("node", "sharp");
  const random = seededRandom(3);
  mkdirSync(folder);
  const [, rows, columns] = shape;
  const sizes: [name: string, width: number, height: number][] = [
    ["larger", 2 * columns + 35, 3 * rows + 7],
    ["twice", 2 * columns, 2 * rows],
    ["wider", 5 * columns + 1, rows - 9],
    ["higher", columns - 11, 150],
    ["smaller", columns - 5, rows - 7],
    ["tiny", 2, 1],
    ["same", columns, rows],
  ];
  const files: string[] = [];
  for (const [name, width, height] of sizes) {
    for (const channels of [1, 3] as const) {
      const pixels = Uint8Array.from({ length: width * height * channels }, (_, i) => {
        const [x, y] = [Math.floor(i / channels) % width, Math.floor(i / channels / width)];
        const smooth = Math.sin((5 * x) / width + (i % channels)) * Math.cos((4 * y) / height);
        return 255 * (0.25 + 0.25 * smooth + 0.5 * random());
      });
      const file = join(folder, `${name}-${channels === 1 ? "gray" : "colours"}.png`);
      await sharp(pixels, { raw: { width, height, channels } }).png().toFile(file);
      files.push(file);
    }
  }
  return files;
}
