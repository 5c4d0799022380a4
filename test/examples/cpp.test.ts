/** `examples/cpp`: embeddings in C++, by libtorch, and by onnxruntime where its headers are. */
import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { recordedLibtorch } from "../../scripts/setup/addon.mjs";
import { output } from "../../scripts/setup/run.mjs";
import { load } from "../../ts/index.ts";
import { root, temporaryFolder, trainedRun } from "../support/cli.ts";
import {
  embedded,
  expectClose,
  exportOnnx,
  farthest,
  NETWORKS,
  nativeInput,
  oddImages,
  type Pass,
  reachOfOneLevel,
} from "../support/examples.ts";

/** PNG files of other kinds: more and fewer bits, alpha, palettes, a profile that is none. */
const KINDS = [
  "alpha",
  "animated",
  "bad_profile",
  "bits1",
  "color",
  "deep",
  "gray",
  "gray_alpha",
  "palette",
  "palette_alpha",
];

interface Result {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs a program to its end. */
function execute(program: string, ...args: string[]): Promise<Result> {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  const result: Result = { code: null, stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (text: string) => {
      result[name] += text;
    });
  }
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ ...result, code }));
  });
}

let build: string;
const program = (name: string) => join(build, name);

beforeAll(async () => {
  build = mkdtempSync(join(tmpdir(), "flexae-cpp-"));
  const source = join(root, "examples/cpp");
  const ccache = output("which", ["ccache"]) !== null;
  for (const args of [
    [
      ...["-S", source, "-B", build, `-DLIBTORCH=${recordedLibtorch()}`],
      "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror",
      ...(ccache ? ["-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"] : []),
    ],
    ["--build", build],
  ]) {
    const { code, stdout, stderr } = await execute("cmake", ...args);
    expect(code, stdout + stderr).toBe(0);
  }
}, 600_000);
afterAll(() => rmSync(build, { recursive: true, force: true }));

/** Image files to embed, what `flexae embed` gives for them, and how far a grey level takes it. */
async function meantFor(run: string, folder: string) {
  const encoder = await load(join(run, "en.pt"), { device: "cpu", precision: "fp32" });
  const shape = encoder.inputShape as Pass["shape"];
  const files = await oddImages(join(folder, "images"), shape);
  for (const kind of KINDS) {
    const file = join(folder, "images", `${kind}.png`);
    cpSync(join(root, "test/fixtures/images", `${kind}.png`), file);
    files.push(file);
  }
  const expected = await embedded(run, join(folder, "images"), join(folder, "out.csv"));
  expect(expected.size).toBe(files.length);
  const reaches: number[] = [];
  for (const file of files) {
    const embed = async (images: Float32Array) => (await encoder.encode(images)).data;
    reaches.push(await reachOfOneLevel(embed, await nativeInput(file, shape)));
  }
  encoder.dispose();
  return { files, expected, reaches };
}

/** Expects a program to print, for each file, the numbers that `flexae embed` gives. */
async function expectEmbeds(
  args: [program: string, model: string],
  { files, expected, reaches }: Awaited<ReturnType<typeof meantFor>>,
) {
  const { code, stdout, stderr } = await execute(...args, ...files);
  expect(code, stderr).toBe(0);
  const lines = stdout.trimEnd().split("\n");
  expect(lines.map((line) => line.split(" ")[0])).toEqual(files);
  for (const [i, file] of files.entries()) {
    const printed = (lines[i] as string).split(" ").slice(1).map(Number);
    const meant = expected.get(basename(file)) as number[];
    if (basename(file).startsWith("same")) expectClose(printed, meant);
    else expect(farthest(printed, meant), file).toBeLessThan(reaches[i] as number);
  }
}

describe.each(Object.entries(NETWORKS))("%s", (_, settings) => {
  const trained = trainedRun("--train-epochs=1", ...settings);

  it("is embedded with by embed_torch as by flexae embed", async () => {
    const meant = await meantFor(trained(), temporaryFolder());
    await expectEmbeds([program("embed_torch"), join(trained(), "en.pt")], meant);
  });

  it("is embedded with by embed_onnx, as a graph that resizes", async ({ skip }) => {
    if (!existsSync(program("embed_onnx"))) skip("no headers of onnxruntime");
    const folder = temporaryFolder();
    await exportOnnx(trained(), join(folder, "exported"), "--with-resize");
    const model = join(folder, "exported/en.onnx");
    await expectEmbeds([program("embed_onnx"), model], await meantFor(trained(), folder));
  });
});

describe("embed_torch", () => {
  const trained = trainedRun("--train-epochs=1");

  it("says how it is used", async () => {
    const { code, stderr } = await execute(program("embed_torch"), "en.pt");
    expect(code).toBe(2);
    expect(stderr).toBe("usage: embed_torch EN.PT IMAGE...\n");
  });

  it("names the file that it cannot read", async () => {
    const model = join(trained(), "en.pt");
    const run = (file: string) => execute(program("embed_torch"), model, file);
    const missing = await run("missing.png");
    expect(missing).toEqual({ code: 1, stdout: "", stderr: "missing.png cannot be opened\n" });
    const other = await run(model);
    expect(other.code).toBe(1);
    expect(other.stdout).toBe("");
    expect(other.stderr).toContain(`${model} is no PNG file, or a broken one\n`);
  });
});
