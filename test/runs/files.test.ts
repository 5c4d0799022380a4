import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { LiveFile, writeFileAtomic } from "../../ts/files/atomic.ts";
import { createRunFolder, findRun } from "../../ts/runs/folder.ts";
import { appendScore, BadImagesTable, MetricsTable } from "../../ts/runs/tables.ts";
import { temporaryFolder } from "../support/cli.ts";

describe("writeFileAtomic", () => {
  it("writes, replaces and leaves nothing beside", async () => {
    const folder = temporaryFolder();
    const path = join(folder, "a.txt");
    await writeFileAtomic(path, "one");
    await writeFileAtomic(path, Buffer.from("two"));
    expect(readFileSync(path, "utf8")).toBe("two");
    expect(readdirSync(folder)).toEqual(["a.txt"]);
  });

  it("names the file it cannot write, and keeps what stood there", async () => {
    const folder = temporaryFolder();
    const missing = join(folder, "none", "a.txt");
    await expect(writeFileAtomic(missing, "x")).rejects.toMatchObject({
      code: "FLEXAE_IO",
      message: `${missing} cannot be written: no such file or folder`,
    });
    mkdirSync(join(folder, "taken"));
    await expect(writeFileAtomic(join(folder, "taken"), "x")).rejects.toMatchObject({
      code: "FLEXAE_IO",
    });
    expect(readdirSync(folder)).toEqual(["taken"]);
  });
});

describe("LiveFile", () => {
  it("ends with the newest content", async () => {
    const path = join(temporaryFolder(), "a.txt");
    const file = new LiveFile(path, () => {});
    for (let i = 0; i <= 100; i++) file.update(String(i));
    await file.flush();
    expect(readFileSync(path, "utf8")).toBe("100");
  });

  it("tells of a failure once, and throws it from flush", async () => {
    const failures: unknown[] = [];
    const file = new LiveFile(join(temporaryFolder(), "none", "a"), (e) => failures.push(e));
    file.update("1");
    await expect(file.flush()).rejects.toThrow("cannot be written");
    file.update("2");
    await expect(file.flush()).rejects.toThrow("cannot be written");
    expect(failures).toHaveLength(1);
  });
});

describe("createRunFolder", () => {
  it("makes logs/ae_<time> below the current folder, and another for the same second", async () => {
    const cwd = process.cwd();
    process.chdir(temporaryFolder());
    try {
      const now = new Date(2031, 0, 2, 3, 4, 5);
      const first = await createRunFolder(null, false, now);
      const second = await createRunFolder(null, false, now);
      expect(first.path.endsWith("logs/ae_20310102_030405")).toBe(true);
      expect(second.path.endsWith("logs/ae_20310102_030405_2")).toBe(true);
    } finally {
      process.chdir(cwd);
    }
  });

  it("refuses a folder that holds files, unless it may overwrite", async () => {
    const folder = temporaryFolder();
    for (const name of ["mine.txt", "ae.pt", "ep003-loss0.1-val_loss0.2.ckpt", "setting.yaml"]) {
      writeFileSync(join(folder, name), "x");
    }
    await expect(createRunFolder(folder, false)).rejects.toMatchObject({
      code: "FLEXAE_CONFIG",
      message: expect.stringContaining("already holds files"),
    });
    // Files that only have the names of a run's are not its to remove.
    await expect(createRunFolder(folder, true)).rejects.toMatchObject({
      code: "FLEXAE_CONFIG",
      message: expect.stringContaining("no setting.yaml of a run"),
    });
    expect(readdirSync(folder)).toHaveLength(4);
    writeFileSync(join(folder, "setting.yaml"), "versions:\n  flexible_autoencoder: 0.1.0\n");
    const { path } = await createRunFolder(folder, true);
    // An earlier run's files go; anyone else's stay.
    expect(readdirSync(path).sort()).toEqual(["mine.txt", "setting.yaml"]);
  });

  it("takes an empty folder, makes a missing one, and undoes both", async () => {
    const folder = temporaryFolder();
    const empty = await createRunFolder(folder, false);
    await empty.discard();
    expect(readdirSync(folder)).toEqual([]);
    const made = await createRunFolder(join(folder, "a", "b"), false);
    // Which images validate may be written by then.
    writeFileSync(join(made.path, "train_images.csv"), "path\n");
    await made.discard();
    expect(existsSync(join(folder, "a", "b"))).toBe(false);
  });

  it("gives one folder to exactly one of many that ask", async () => {
    const folder = join(temporaryFolder(), "run");
    const outcomes = await Promise.allSettled(
      Array.from({ length: 16 }, () => createRunFolder(folder, false)),
    );
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });

  it("refuses a file in its place", async () => {
    const path = join(temporaryFolder(), "file");
    writeFileSync(path, "");
    await expect(createRunFolder(path, true)).rejects.toMatchObject({
      code: "FLEXAE_CONFIG",
      message: expect.stringContaining("is not a folder"),
    });
  });

  it.skipIf(process.getuid?.() === 0)("says what it may not write", async () => {
    const folder = temporaryFolder();
    chmodSync(folder, 0o500);
    await expect(createRunFolder(join(folder, "run"), false)).rejects.toMatchObject({
      code: "FLEXAE_IO",
      message: expect.stringContaining("permission denied"),
    });
    chmodSync(folder, 0o700);
  });
});

describe("findRun", () => {
  it("finds a folder with a model, and says why another is none", async () => {
    const folder = temporaryFolder();
    await expect(findRun(folder)).rejects.toThrow(/holds no ae\.pt/);
    await expect(findRun(join(folder, "none"))).rejects.toThrow(/There is no run folder/);
    writeFileSync(join(folder, "ae.pt"), "x");
    expect(await findRun(folder)).toBe(folder);
  });
});

describe("tables", () => {
  const HEADER = "Time,FolderName,train_loss,valid_loss,train_accuracy,valid_accuracy";
  const scores = { loss: 0.25, accuracy: 0.5, mse: 0.125, psnr: Number.POSITIVE_INFINITY };

  it("writes a row an epoch, with empty cells for what is not finite", () => {
    const table = new MetricsTable();
    const epoch = {
      type: "epoch" as const,
      train: scores,
      valid: { ...scores, psnr: 20 },
      seconds: 1.5,
      imagesPerSecond: 100,
      learningRate: 0.001,
      best: true,
      bestEpoch: 1,
      checkpoint: null,
    };
    table.add({ ...epoch, epoch: 1 });
    table.add({ ...epoch, epoch: 2, best: false, learningRate: Number.NaN });
    expect(Buffer.from(table.content).toString()).toBe(
      "epoch,loss,accuracy,mse,psnr,val_loss,val_accuracy,val_mse,val_psnr,images_per_second,seconds,best,learning_rate\n" +
        "1,0.25,0.5,0.125,,0.25,0.5,0.125,20,100,1.5,1,0.001\n" +
        "2,0.25,0.5,0.125,,0.25,0.5,0.125,20,100,1.5,0,\n",
    );
  });

  it("keeps every row of a long training, and what was taken before", () => {
    const table = new MetricsTable();
    const rates = { imagesPerSecond: 1, learningRate: 2 };
    const epoch = { train: scores, valid: scores, seconds: 1, ...rates, best: false };
    const early = table.content;
    const text = Buffer.from(early).toString();
    for (let n = 1; n <= 1000; n++) table.add({ ...epoch, epoch: n, bestEpoch: 1 });
    const rows = Buffer.from(table.content).toString().trimEnd().split("\n");
    expect(rows.slice(1)).toEqual(
      Array.from({ length: 1000 }, (_, i) => `${i + 1},0.25,0.5,0.125,,0.25,0.5,0.125,,1,1,0,2`),
    );
    expect(Buffer.from(early).toString()).toBe(text);
  });

  it("quotes awkward file names", () => {
    const text = new BadImagesTable().add({
      type: "bad",
      set: "train",
      file: 'a,"b"\nc.png',
      reason: "truncated",
    });
    expect(text).toBe('set,file,reason\ntrain,"a,""b""\nc.png",truncated\n');
  });

  it("appends a run's scores under one header", async () => {
    const path = join(temporaryFolder(), "logs", "aescore.csv");
    const time = new Date(2031, 0, 2, 3, 4, 5);
    await appendScore(path, { time, folder: "ae_1", train: scores, valid: scores });
    await appendScore(path, { time, folder: "ae,2", train: null, valid: null });
    expect(readFileSync(path, "utf8")).toBe(
      "Time,FolderName,train_loss,valid_loss,train_accuracy,valid_accuracy\n" +
        "2031-01-02 03:04:05,ae_1,0.25,0.25,0.5,0.5\n" +
        '2031-01-02 03:04:05,"ae,2",,,,\n',
    );
  });

  it("begins a new line after one left unended", async () => {
    const path = join(temporaryFolder(), "aescore.csv");
    writeFileSync(path, `${HEADER}\nx,y`);
    await appendScore(path, { time: new Date(), folder: "z", train: null, valid: null });
    expect(readFileSync(path, "utf8").split("\n")).toHaveLength(4);
  });

  it.each([
    ["an empty file", "", 2],
    ["what a spreadsheet saved", `\ufeff${HEADER}\r\n`, 2],
  ])("appends to %s", async (_, text, lines) => {
    const path = join(temporaryFolder(), "aescore.csv");
    writeFileSync(path, text);
    await appendScore(path, { time: new Date(), folder: "z", train: null, valid: null });
    const now = readFileSync(path, "utf8");
    expect(now.startsWith(text === "" ? `${HEADER}\n` : text)).toBe(true);
    expect(now.trimEnd().split("\n")).toHaveLength(lines);
  });

  it.each([
    ["another table", "Time,FolderName\nx,y\n"],
    ["a text without lines", "x".repeat(5000)],
    ["its header among others", `${HEADER},more\n`],
  ])("leaves %s as it is", async (_, text) => {
    const path = join(temporaryFolder(), "aescore.csv");
    writeFileSync(path, text);
    await expect(
      appendScore(path, { time: new Date(), folder: "z", train: null, valid: null }),
    ).rejects.toMatchObject({
      code: "FLEXAE_IO",
      message: `${path} is not this program's table of scores, so this run is not added: move it away and the next run begins a new one`,
    });
    expect(readFileSync(path, "utf8")).toBe(text);
  });
});
