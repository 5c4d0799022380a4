import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, inject, it } from "vitest";
import { parse } from "yaml";
import { type Ended, flexae, jsonLines, smallRun, temporaryFolder } from "../support/cli.ts";
import { readImage } from "../support/pixels.ts";

/** The size in a PNG's header. */
function pngSize(path: string): [number, number] {
  const bytes = readFileSync(path);
  expect(bytes.subarray(1, 4).toString("latin1")).toBe("PNG");
  return [bytes.readUInt32BE(16), bytes.readUInt32BE(20)];
}

describe("flexae run --json", () => {
  let cwd: string;
  let ended: Ended;
  let lines: Record<string, unknown>[];
  let runDir: string;

  beforeAll(async () => {
    cwd = join(inject("digits"), "json-run");
    mkdirSync(cwd);
    ended = await flexae(
      smallRun("--json", "--train-epochs=3", "--period=1", "--save-prefix=digits"),
      { cwd },
    );
    expect(ended.code, ended.stderr).toBe(0);
    lines = jsonLines(ended.stdout);
    runDir = lines[0]?.runDir as string;
  });

  it("prints a start, an epoch each and an end, and nothing else", () => {
    expect(lines.map(({ event }) => event)).toEqual(["start", "epoch", "epoch", "epoch", "end"]);
    expect(ended.stderr).toBe("");
    expect(lines[0]).toMatchObject({ device: "cpu", trainImages: 200, validImages: 50, epochs: 3 });
    for (const [index, line] of lines.slice(1, 4).entries()) {
      expect(line).toMatchObject({ epoch: index + 1 });
      for (const name of ["loss", "validLoss", "accuracy", "validAccuracy", "imagesPerSecond"]) {
        expect(line[name], name).toSatisfy(Number.isFinite);
      }
    }
    const end = lines[4] as Record<string, unknown>;
    expect(end).toMatchObject({ runDir, epochs: 3, stopped: "finished" });
    const validLosses = lines.slice(1, 4).map((line) => line.validLoss as number);
    // The best weights are the ones kept.
    expect(end.validLoss).toBeCloseTo(Math.min(...validLosses), 5);
    expect(end.trainLoss).toBeGreaterThan(0);
    expect(validLosses[2]).toBeLessThan(validLosses[0] as number);
  });

  it("leaves everything in logs/ae_<time>", () => {
    expect(runDir).toMatch(/\/logs\/ae_\d{8}_\d{6}$/);
    const names = readdirSync(runDir);
    const pictures = ["train", "valid"].flatMap((set) => [
      `${set}_comparison.png`,
      ...Array.from({ length: 10 }, (_, i) => `${set}_eval_orig_image_${i}.png`),
      ...Array.from({ length: 10 }, (_, i) => `${set}_eval_pred_image_${i}.png`),
    ]);
    const models = ["ae.pt", "en.pt", "last.ckpt", "previous.ckpt", "best.ckpt"];
    const checkpoints = names.filter((name) => name.endsWith(".ckpt") && !models.includes(name));
    const tables = ["metrics.csv", "events.jsonl", "reconstructions.jsonl"];
    expect(names.sort()).toEqual(
      [...models, ...tables, "report.html", "setting.yaml", ...pictures, ...checkpoints].sort(),
    );
    expect(checkpoints.length).toBeGreaterThan(0);
    for (const name of checkpoints) {
      expect(name).toMatch(/^ep\d{3}-loss\d\.\d{7}-val_loss\d\.\d{7}\.ckpt$/);
    }
  });

  it("notes what happened, as it happened, and what became of a few images", async () => {
    const events = jsonLines(readFileSync(join(runDir, "events.jsonl"), "utf8"));
    const kinds = events.map(({ event }) => event).filter((event) => event !== "batch");
    expect(kinds.filter((kind) => kind !== "reconstructions")).toEqual([
      ...["start", "epoch", "epoch", "epoch", "finishing", "end"],
    ]);
    expect(events[0]).toMatchObject({
      epochs: 3,
      trainImages: 200,
      validImages: 50,
      device: "cpu",
    });
    expect(events.at(-1)).toMatchObject({ state: "finished" });
    const batch = events.find(({ event }) => event === "batch");
    expect(batch).toMatchObject({ epoch: 1, phase: "train", load: { memory: expect.any(Number) } });
    const pictures = jsonLines(readFileSync(join(runDir, "reconstructions.jsonl"), "utf8"));
    expect(pictures[0]).toMatchObject({ epoch: 0, count: 8 });
    expect(pictures.at(-1)).toMatchObject({ epoch: 3, count: 8 });
    // The originals, from all over the set, are those of the files.
    const files = readdirSync(join(inject("digits"), "valid"), {
      recursive: true,
      encoding: "utf8",
    })
      .filter((name) => name.endsWith(".png"))
      .sort();
    const strip = join(temporaryFolder(), "strip.png");
    writeFileSync(strip, Buffer.from(String(pictures[0]?.png), "base64"));
    const shown = await readImage(strip);
    for (let i = 0; i < 8; i++) {
      const file = files[Math.floor(((2 * i + 1) * files.length) / 16)] as string;
      const original = await readImage(join(inject("digits"), "valid", file));
      for (let y = 0; y < 28; y++) {
        for (let x = 0; x < 28; x++) expect(shown.at(28 * i + x, y)).toEqual(original.at(x, y));
      }
    }
  });

  it("writes metrics.csv as the epochs went", () => {
    const rows = readFileSync(join(runDir, "metrics.csv"), "utf8").trimEnd().split("\n");
    expect(rows).toHaveLength(4);
    const header = (rows[0] as string).split(",");
    for (const [index, row] of rows.slice(1).entries()) {
      const cells = row.split(",");
      const line = lines[index + 1] as Record<string, unknown>;
      expect(cells[header.indexOf("epoch")]).toBe(String(index + 1));
      expect(Number(cells[header.indexOf("loss")])).toBe(line.loss);
      expect(Number(cells[header.indexOf("val_loss")])).toBe(line.validLoss);
      expect(Number(cells[header.indexOf("val_accuracy")])).toBe(line.validAccuracy);
    }
  });

  it("writes setting.yaml, from which the run can be repeated to the same losses", async () => {
    const path = join(runDir, "setting.yaml");
    const setting = parse(readFileSync(path, "utf8"));
    const end = lines[4] as Record<string, unknown>;
    expect(setting).toMatchObject({
      name: "digits",
      state: "finished",
      epochs: 3,
      config: { filters: [8, 16], kernel_size: [3, 3], train_epochs: 3, optimizer: "adam" },
      data: { train_images: 200, valid_images: 50 },
      scores: { train: { loss: end.trainLoss }, valid: { loss: end.validLoss } },
    });
    expect(setting.data.classes).toHaveLength(10);
    expect(setting.versions.torch).toMatch(/^2\.\d+/);
    const again = await flexae(["run", "--json", "--config", path], { cwd: temporaryFolder() });
    expect(again.code, again.stderr).toBe(0);
    const losses = (all: Record<string, unknown>[]) =>
      all.map(({ loss, validLoss, trainLoss }) => [loss, validLoss, trainLoss]);
    expect(losses(jsonLines(again.stdout))).toEqual(losses(lines));
  });

  it("adds a row to logs/aescore.csv", () => {
    const text = readFileSync(join(cwd, "logs/aescore.csv"), "utf8").trimEnd().split("\n");
    expect(text[0]).toBe("Time,FolderName,train_loss,valid_loss,train_accuracy,valid_accuracy");
    const end = lines[4] as Record<string, unknown>;
    const [time, ...rest] = (text[1] as string).split(",");
    expect(time).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/);
    expect(rest).toEqual([
      runDir.split("/").at(-1),
      ...["trainLoss", "validLoss", "trainAccuracy", "validAccuracy"].map((n) => String(end[n])),
    ]);
    expect(text).toHaveLength(2);
  });

  it("draws the pictures at the model's size, and the sheet around them", () => {
    expect(pngSize(join(runDir, "valid_eval_orig_image_0.png"))).toEqual([28, 28]);
    expect(pngSize(join(runDir, "train_eval_pred_image_9.png"))).toEqual([28, 28]);
    const [width, height] = pngSize(join(runDir, "valid_comparison.png"));
    // Ten pairs, five a row, each image enlarged four times.
    expect(width).toBeGreaterThan(10 * 28 * 4);
    expect(height).toBeGreaterThan(2 * 28 * 4);
  });

  it("evaluates: the same scores again, and new pictures", async () => {
    const picture = join(runDir, "valid_comparison.png");
    const before = readFileSync(picture);
    writeFileSync(picture, "spoilt");
    const { code, stdout, stderr } = await flexae(["evaluate", "last", "--json"], { cwd });
    expect(code, stderr).toBe(0);
    const result = JSON.parse(stdout);
    const end = lines[4] as Record<string, unknown>;
    expect(result.runDir).toBe(runDir);
    expect(result.valid.images).toBe(50);
    // A training in bf16, which is the default where the processor has it, scores in bf16 as well.
    const digits = lines[0]?.precision === "bf16" ? 2 : 5;
    expect(result.valid.loss).toBeCloseTo(end.validLoss as number, digits);
    expect(result.train.loss).toBeCloseTo(end.trainLoss as number, digits);
    expect(result.valid.accuracy).toBeCloseTo(end.validAccuracy as number, digits);
    expect(result.pictures).toHaveLength(42);
    expect(readFileSync(picture).equals(before)).toBe(true);

    const text = await flexae(["evaluate", runDir, "--valid-dir", join(inject("digits"), "train")]);
    expect(text.code, text.stderr).toBe(0);
    expect(text.stdout).toMatch(
      /training +loss 0\.\d+.*\(200 images\)\n +validation +loss 0\.\d+.*\(200 images\)/,
    );
  });

  it("evaluates what is left of the images, and fails when asked for what is not", async () => {
    const moved = temporaryFolder();
    writeFileSync(join(moved, "ae.pt"), readFileSync(join(runDir, "ae.pt")));
    const valid = join(inject("digits"), "valid");
    writeFileSync(
      join(moved, "setting.yaml"),
      `data:\n  train_dir: /gone/train\n  valid_dir: ${JSON.stringify(valid)}\n`,
    );
    const half = await flexae(["evaluate", moved, "--json"]);
    expect(half.code, half.stderr).toBe(0);
    expect(half.stderr).toMatch(/train_dir \/gone\/train cannot be used/);
    expect(JSON.parse(half.stdout)).toMatchObject({ train: null, valid: { images: 50 } });
    expect(readdirSync(moved)).toContain("valid_comparison.png");
    const other = await flexae(["evaluate", runDir, "--train-dir=/nowhere"]);
    expect(other.code).toBe(3);
    expect(other.stderr).toMatch(/train_dir \/nowhere cannot be used/);
  });

  it("refuses a model that is damaged", async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "ae.pt"), readFileSync(join(runDir, "ae.pt")).subarray(0, 5000));
    const { code, stderr } = await flexae(["evaluate", folder]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/ae\.pt/);
    expect(stderr.trimEnd().split("\n").length).toBeLessThanOrEqual(2);
  });
});

describe("flexae run", () => {
  it("shows the network, a line an epoch, the scores and what to do next", async () => {
    const cwd = temporaryFolder();
    const { code, stdout, stderr } = await flexae(smallRun("--save-dir=out/run one"), { cwd });
    expect(code, stderr).toBe(0);
    expect(stderr).toBe("");
    expect(stdout).toMatch(/encoder\.conv_0 +Conv2D +\(8, \d+, \d+\) +80\n/);
    expect(stdout).toMatch(/Parameters +[\d,]+ \(/);
    expect(stdout).toContain("200 training and 50 validation images");
    expect(stdout.match(/^epoch \d\/2 {2}loss 0\.\d+.* images\/s/gm)).toHaveLength(2);
    expect(stdout).toMatch(
      /Finished after 2 epochs in .*\n +training +loss .*\n +validation +loss /,
    );
    expect(stdout).toContain("Everything is in out/run one:");
    expect(stdout).toContain('Next: flexae evaluate "out/run one"');
    expect(readdirSync(join(cwd, "out/run one"))).toContain("ae.pt");
  });

  it("takes the ancestor's command line as written", async () => {
    const cwd = temporaryFolder();
    const [, ...settings] = smallRun("--save_dir=run");
    const args = ["--train_epochs=1", "--filters=[4,4,4]", "--preTrain_verbose=2", "run"];
    const ended = await flexae([...settings, ...args], { cwd });
    expect(ended.code, ended.stderr).toBe(0);
    expect(ended.stdout).toContain("encoder.conv_2");
    expect(ended.stdout).toContain("epoch 1/1");
    const setting = parse(readFileSync(join(cwd, "run/setting.yaml"), "utf8"));
    expect(setting.config).toMatchObject({ filters: [4, 4, 4], train_epochs: 1 });
  });

  it("is silent when asked", async () => {
    const cwd = temporaryFolder();
    const args = smallRun("--pre-train-verbose=0", "--save-dir=run", "--train-epochs=1");
    expect(await flexae(args, { cwd })).toEqual({ code: 0, signal: null, stdout: "", stderr: "" });
    expect(readdirSync(join(cwd, "run"))).toContain("en.pt");
  });

  it("replaces an earlier run when asked", async () => {
    const cwd = temporaryFolder();
    const args = (...more: string[]) => smallRun("--save-dir=run", "--train-epochs=1", ...more);
    expect((await flexae(args(), { cwd })).code).toBe(0);
    expect((await flexae(args(), { cwd })).code).toBe(2);
    const again = await flexae(args("--overwrite", "--seed=2"), { cwd });
    expect(again.code, again.stderr).toBe(0);
    const rows = readFileSync(join(cwd, "logs/aescore.csv"), "utf8").trimEnd().split("\n");
    expect(rows).toHaveLength(3);
  });

  it("says that there are fewer images than a batch holds, and goes on", async () => {
    const cwd = temporaryFolder();
    const ended = await flexae(smallRun("--batch-size=500", "--save-dir=run", "--json"), { cwd });
    expect(ended.code, ended.stderr).toBe(0);
    expect(ended.stderr).toMatch(/batch_size 500 is more than the 200 training images/);
    expect(jsonLines(ended.stdout)[0]).toMatchObject({ batches: 1 });
  });

  it("stops early without a better validation loss, keeping the best", async () => {
    const cwd = temporaryFolder();
    const args = smallRun(
      "--json",
      "--save-dir=run",
      "--train-epochs=60",
      "--patience=2",
      "--optimizer=sgd",
      "--learning-rate=1e-12",
    );
    const ended = await flexae(args, { cwd });
    expect(ended.code, ended.stderr).toBe(0);
    const lines = jsonLines(ended.stdout);
    const end = lines.at(-1) as Record<string, unknown>;
    const losses = lines.slice(1, -1).map((line) => line.validLoss as number);
    const best = losses.indexOf(Math.min(...losses)) + 1;
    if (end.stopped === "early") expect(losses.length).toBe(best + 2);
    else expect(losses.length).toBe(60);
    expect(end.bestEpoch).toBe(best);
    expect(end.validLoss).toBeCloseTo(Math.min(...losses), 5);
  });

  it("skips unreadable images, and names each with its reason", async () => {
    const cwd = temporaryFolder();
    mkdirSync(join(cwd, "train"));
    const source = join(inject("digits"), "train");
    for (const digit of readdirSync(source)) {
      for (const name of readdirSync(join(source, digit))) {
        writeFileSync(
          join(cwd, "train", `${digit}-${name}`),
          readFileSync(join(source, digit, name)),
        );
      }
    }
    writeFileSync(join(cwd, "train", 'odd, "name".png'), "");
    const args = smallRun(`--train-dir=${join(cwd, "train")}`, "--save-dir=run", "--json");
    const ended = await flexae(args, { cwd });
    expect(ended.code, ended.stderr).toBe(0);
    expect(ended.stderr).toMatch(/skipped .*odd, "name"\.png: /);
    expect(ended.stderr.match(/skipped/g)).toHaveLength(1);
    expect(jsonLines(ended.stdout).at(-1)).toMatchObject({ badImages: 1 });
    const rows = readFileSync(join(cwd, "run/bad_images.csv"), "utf8").trimEnd().split("\n");
    expect(rows).toHaveLength(2);
    expect(rows[1]).toMatch(/^train,".*odd, ""name""\.png",.+/);
  });

  it("goes on when nobody reads its output any more", async () => {
    const cwd = temporaryFolder();
    const { start, main } = await import("../support/cli.ts");
    const { child, ended, seen } = start([main, ...smallRun("--save-dir=run")], { cwd });
    await seen(/Parameters/);
    child.stdout?.destroy();
    expect((await ended).code).toBe(0);
    expect(readdirSync(join(cwd, "run"))).toContain("valid_comparison.png");
  });

  it("trains RGB rectangles without the MLP", async () => {
    const cwd = temporaryFolder();
    const args = smallRun(
      "--channels=3",
      "--image-shape=20,33",
      "--no-mlp",
      "--pooling=max,avg",
      "--strides=1",
      "--save-dir=run",
      "--train-epochs=1",
    );
    const ended = await flexae(args, { cwd });
    expect(ended.code, ended.stderr).toBe(0);
    expect(pngSize(join(cwd, "run/valid_eval_pred_image_0.png"))).toEqual([33, 20]);
  });
});

describe("flexae summary", () => {
  it("shows the default network with the parameters it is known to have", async () => {
    const { code, stdout, stderr } = await flexae(["summary"]);
    expect(code, stderr).toBe(0);
    expect(stdout).toContain("10,042,901 (10,041,491 trainable, 1,410 not), encoder 4,520,040");
    expect(stdout).toMatch(/Multiply-adds +[\d.]+ [MG] an image/);
    expect(stdout).toMatch(/Training memory +about [\d.]+ (MiB|GiB) at batch size 32/);
  });

  it.each([
    [[], 10042901, 4520040],
    [["--dims=[500,100]"], 5048001, 2523640],
    [["--AutoencoderMLP_switch=False"], 844805, 423040],
  ])("gives JSON of the documented form for %j", async (args, total, encoder) => {
    const { code, stdout, stderr } = await flexae(["summary", "--json", ...args]);
    expect(code, stderr).toBe(0);
    const summary = JSON.parse(stdout);
    expect(summary.input).toEqual([32, 1, 256, 256]);
    expect(summary.parameters.total).toBe(total);
    expect(summary.parameters.trainable + summary.parameters.nonTrainable).toBe(total);
    expect(summary.encoder.parameters).toBe(encoder);
    const sum = summary.layers.reduce(
      (s: number, l: { parameters: number }) => s + l.parameters,
      0,
    );
    expect(sum).toBe(total);
    for (const layer of summary.layers) {
      expect(layer).toMatchObject({ name: expect.any(String), type: expect.any(String) });
      expect(layer.outputShape[0]).toBe(32);
      expect(layer.fastPath).toBe(true);
    }
  });

  it("names the layers that have no fast path", async () => {
    // 7 rows are pooled to 4, and twice that is cut.
    const network = ["--image-shape=28,28", "--filters=4,8", "--strides=2"];
    const args = ["summary", ...network, "--pooling=none,max", "--kernel-size=3", "--device=cpu"];
    const shown = await flexae(args);
    expect(shown.code, shown.stderr).toBe(0);
    expect(shown.stdout).toMatch(/^No fast path +decoder\.upsample_1$/m);
    const { stdout } = await flexae([...args, "--json"]);
    const slow = JSON.parse(stdout).layers.filter((l: { fastPath: boolean }) => !l.fastPath);
    expect(slow).toMatchObject([{ name: "decoder.upsample_1", type: "UpSampling2D" }]);
    const even = await flexae(["summary", "--device=cpu"]);
    expect(even.stdout).not.toContain("No fast path");
  });
});

describe("flexae doctor", () => {
  it("finds that training works here", async () => {
    const { code, stdout, stderr } = await flexae(["doctor"]);
    expect(code, stdout + stderr).toBe(0);
    expect(stdout).toMatch(/libtorch +2\.\d+/);
    expect(stdout).toMatch(/AVX2 (yes|no), AVX512 (yes|no)/);
    expect(stdout).toMatch(/OpenCV/);
    const json = await flexae(["doctor", "--json"]);
    const report = JSON.parse(json.stdout);
    expect(report.ok).toBe(true);
    expect(report.addon.versions.torch).toMatch(/^2\./);
    expect(report.addon.hardware.cpu.cores).toBeGreaterThan(0);
  });

  it("ends with 1 and a remedy when the addon is missing", async () => {
    const env = { FLEXAE_ADDON: "/no/flexae.node" };
    const missing = await flexae(["doctor"], { env });
    expect(missing.code).toBe(1);
    expect(missing.stdout).toMatch(/✗ addon +.*\/no\/flexae\.node[\s\S]*→ .*npm run setup/);
    const json = await flexae(["doctor", "--json"], { env });
    expect(json.code).toBe(1);
    expect(JSON.parse(json.stdout).ok).toBe(false);
  });

  it("outlives an addon that takes its process down", async () => {
    const folder = temporaryFolder();
    const path = join(folder, "flexae.node");
    const source = join(folder, "crash.c");
    writeFileSync(
      source,
      "#include <stdlib.h>\n__attribute__((constructor)) static void crash(void) { abort(); }\n",
    );
    execFileSync("cc", ["-shared", "-fPIC", "-o", path, source]);
    const { code, stdout } = await flexae(["doctor"], { env: { FLEXAE_ADDON: path } });
    expect(code).toBe(1);
    expect(stdout).toMatch(/✗ addon +.*SIGABRT[\s\S]*→ /);
  });
});
