/** Sets that are no folders: lists of files, and one set for both. */
import { readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "csv-parse/sync";
import { beforeEach, describe, expect, inject, it } from "vitest";
import { listRuns, readTable } from "../../ts/index.ts";
import { flexae, jsonLines, smallRun, temporaryFolder } from "../support/cli.ts";
import { scoresOf } from "../support/runs.ts";

let cwd: string;
beforeEach(() => {
  cwd = temporaryFolder();
});

async function run(...args: string[]) {
  const ended = await flexae(args, { cwd });
  expect(ended.code, ended.stderr).toBe(0);
  return ended;
}

/** The images of a set of the digits, in the order of their folder: class, then name. */
function digits(set: string): { path: string; class: string }[] {
  const folder = join(inject("digits"), set);
  return readdirSync(folder)
    .sort()
    .flatMap((name) =>
      readdirSync(join(folder, name))
        .sort()
        .map((file) => ({ path: join(folder, name, file), class: name })),
    );
}

describe("a list in place of a folder", () => {
  it("trains to the same numbers, and serves every command", async () => {
    const csv = digits("train").map((image) => `${image.path},${image.class}\n`);
    writeFileSync(join(cwd, "train.csv"), `path,class\n${csv.join("")}`);
    const json = digits("valid").map((image) => `${JSON.stringify(image)}\n`);
    writeFileSync(join(cwd, "valid.list"), json.join(""));
    await run(...smallRun("--save-dir=folders", "--no-report"));
    const lists = ["--train-dir=train.csv", "--valid-dir=valid.list"];
    await run(...smallRun("--save-dir=lists", ...lists));
    expect(scoresOf(join(cwd, "lists"))).toEqual(scoresOf(join(cwd, "folders")));
    expect(readdirSync(join(cwd, "lists"))).toContain("report.html");
    await run("evaluate", "lists");
    await run("run", "--resume", "lists", "--train-epochs=3", "--no-report");
    await run("embed", "lists", "valid.list", "-o", "valid.parquet");
    const table = await readTable(join(cwd, "valid.parquet"));
    const valid = join(inject("digits"), "valid");
    expect(table.paths.map((path) => join(valid, path))).toEqual(
      digits("valid").map((d) => d.path),
    );
    expect(table.classes).toEqual(digits("valid").map((image) => image.class));
    // The rows name their images from the current folder, so pictures of them are found.
    await run("cluster", "valid.parquet", "-k", "3");
    const [report] = jsonLines((await flexae(["check", "train.csv", "--json"], { cwd })).stdout);
    expect(report).toMatchObject({ counts: { images: 200, bad: 0 } });
  });

  it("may name files that are not there, as long as some are", async () => {
    const lines = digits("train").map(({ path }) => `${path}\n`);
    writeFileSync(join(cwd, "train.txt"), `${lines.join("")}gone.png\n`);
    const args = smallRun("--save-dir=run", "--train-dir=train.txt", "--no-report");
    const { stderr } = await run(...args);
    expect(stderr).toMatch(/skipped .*gone\.png/);
    writeFileSync(join(cwd, "none.txt"), "gone.png\n");
    const none = await flexae(smallRun("--save-dir=none", "--train-dir=none.txt"), { cwd });
    expect([none.code, readdirSync(cwd).includes("none")]).toEqual([3, false]);
    expect(none.stderr).toMatch(/^flexae: The files that train_dir none\.txt lists are not there/);
  });
});

describe("flexae run --valid-split", () => {
  const split = (...more: string[]) => smallRun("--valid-split=20%", "--no-report", ...more);
  const listed = (set: string) =>
    parse(readFileSync(join(cwd, "run", `${set}_images.csv`), "utf8"), { columns: true }) as {
      path: string;
      class: string;
    }[];

  it("takes a fifth of each class, keeps which, and goes on with the same", async () => {
    await run(...split("--save-dir=run"));
    const [train, valid] = [listed("train"), listed("valid")];
    expect([train.length, valid.length]).toEqual([160, 40]);
    const all = [...train, ...valid].sort((a, b) => (a.path < b.path ? -1 : 1));
    expect(all).toEqual(digits("train"));
    const [recorded] = await listRuns(cwd);
    expect(recorded).toMatchObject({ trainImages: 160, validImages: 40 });
    // The same seed takes the same; another takes others.
    await run(...split("--save-dir=again", "--train-epochs=4"));
    expect(readFileSync(join(cwd, "again/valid_images.csv"), "utf8")).toBe(
      readFileSync(join(cwd, "run/valid_images.csv"), "utf8"),
    );
    await run("run", "--resume", "run", "--train-epochs=4", "--no-report");
    expect(scoresOf(join(cwd, "run"))).toEqual(scoresOf(join(cwd, "again")));
    await run(...split("--save-dir=run", "--overwrite", "--seed=5"));
    expect(listed("valid")).not.toEqual(valid);
    // Wherever the run is moved.
    renameSync(join(cwd, "run"), join(cwd, "moved"));
    const evaluated = JSON.parse((await run("evaluate", "moved", "--json")).stdout);
    expect(evaluated.valid.images).toBe(40);
    await run("run", "--resume", "moved", "--train-epochs=3", "--no-report");
    const kept = jsonLines(
      (await flexae(["runs", "diff", "again", "moved", "--json"], { cwd })).stdout,
    );
    expect(JSON.stringify(kept)).toContain("seed");
    const other = await flexae(["run", "--resume", "again", "--valid-split=30%"], { cwd });
    expect([other.code, other.stderr]).toEqual([
      2,
      expect.stringMatching(/again cannot go on with another valid_split/),
    ]);
  });

  it("repeats a run from its setting.yaml", async () => {
    await run(...split("--save-dir=run"));
    await run("run", "--config", "run/setting.yaml", "--save-dir=repeated", "--no-report");
    expect(scoresOf(join(cwd, "repeated"))).toEqual(scoresOf(join(cwd, "run")));
  });

  it("leaves nothing behind where a part would be empty", async () => {
    const ended = await flexae(smallRun("--valid-split=0.001", "--save-dir=run"), { cwd });
    expect([ended.code, readdirSync(cwd)]).toEqual([2, []]);
    expect(ended.stderr).toMatch(/With valid_split 0\.001 none of the 200 images validates/);
  });
});
