import {
  chmodSync,
  cpSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, inject, it } from "vitest";
import { parse } from "yaml";
import {
  type Ended,
  flexae,
  jsonLines,
  smallRun,
  temporaryFolder,
  withoutPrivileges,
} from "../support/cli.ts";

describe("the cache of decoded images", () => {
  let cwd: string;
  let cache: string;

  beforeEach(() => {
    cwd = temporaryFolder();
    for (const set of ["train", "valid"]) {
      cpSync(join(inject("digits"), set), join(cwd, set), { recursive: true });
    }
    cache = join(cwd, "cache");
  });

  function run(...more: string[]): Promise<Ended> {
    const flags = ["--train-dir=train", "--valid-dir=valid", "--dims=8", "--json"];
    return flexae(smallRun(...flags, ...more), {
      cwd,
      env: { FLEXAE_CACHE: cache },
      before: withoutPrivileges(),
    });
  }

  function kept(): string[] {
    return readdirSync(join(cache, "decoded")).sort();
  }

  /** The start event and the losses of a run that went well. */
  function outcome(ended: Ended): { start: Record<string, unknown>; losses: unknown[] } {
    expect(ended.code, ended.stderr).toBe(0);
    const lines = jsonLines(ended.stdout);
    const losses = lines
      .filter(({ event }) => event === "epoch")
      .flatMap(({ loss, validLoss }) => [loss, validLoss]);
    return { start: lines[0] as Record<string, unknown>, losses };
  }

  it("gives the same losses wherever images are kept, and tells where", async () => {
    const plain = outcome(await run("--cache=none"));
    expect(plain.start.cache).toBe("none");
    expect(plain.losses).toHaveLength(4);
    const ram = outcome(await run("--save-dir=ram"));
    expect(ram.start.cache).toBe("ram");
    expect(ram.losses).toEqual(plain.losses);
    const setting = parse(readFileSync(join(cwd, "ram/setting.yaml"), "utf8"));
    expect(setting.data.cache).toBe("ram");
    const disk = outcome(await run("--cache=disk"));
    expect(disk.start.cache).toBe("disk");
    expect(disk.losses).toEqual(plain.losses);
    expect(kept()).toHaveLength(2);
    for (const name of kept()) expect(name).toMatch(/^[0-9a-f]{32}\.images$/);
  });

  it("serves later runs and scorings from disk, and notices a changed image", async () => {
    const first = outcome(await run("--cache=disk", "--save-dir=first"));
    const files = kept();
    // A pixel of the first image is spoilt: a run that decoded the images would not find out.
    const path = join(cache, "decoded", files[0] as string);
    const bytes = readFileSync(path);
    const pixels = bytes.subarray(4096, 4096 + 50 * 28 * 28);
    expect(pixels.some((value) => value !== 0)).toBe(true);
    const damaged = Buffer.from(bytes);
    damaged.writeUInt8(255 - damaged.readUInt8(4096 + 28 * 14 + 14), 4096 + 28 * 14 + 14);
    writeFileSync(path, damaged);
    const second = await run("--cache=disk");
    expect(second.stderr).toContain(`${path} were damaged`);
    expect(outcome(second).losses).toEqual(first.losses);
    expect(readFileSync(path).equals(bytes)).toBe(true);
    const third = await run("--cache=disk");
    expect(third.stderr).toBe("");
    expect(outcome(third).losses).toEqual(first.losses);
    expect(kept()).toEqual(files);

    const evaluation = await flexae(["evaluate", "first", "--json"], {
      cwd,
      env: { FLEXAE_CACHE: cache },
    });
    expect(evaluation.code, evaluation.stderr).toBe(0);
    expect(kept()).toEqual(files);

    // One training image becomes another one.
    const [one, other] = ["train/digit_1/000.png", "train/digit_8/000.png"];
    writeFileSync(join(cwd, one as string), readFileSync(join(cwd, other as string)));
    const changed = outcome(await run("--cache=disk"));
    expect(changed.losses).not.toEqual(first.losses);
    expect(changed.losses).toEqual(outcome(await run("--cache=none")).losses);
    expect(kept()).toHaveLength(3);
  });

  it("remembers bad images, and tells of them in every run", async () => {
    truncateSync(join(cwd, "train/digit_3/004.png"), 40);
    for (let i = 0; i < 2; i++) {
      const ended = await run("--cache=disk");
      outcome(ended);
      expect(ended.stderr).toMatch(/skipped .*digit_3\/004\.png: truncated/);
      expect(jsonLines(ended.stdout).at(-1)).toMatchObject({ badImages: 1 });
    }
    expect(kept()).toHaveLength(2);
  });

  it("goes on without a cache where none can be made, and says so once", async () => {
    writeFileSync(cache, "no folder");
    const ended = await run("--cache=disk");
    expect(outcome(ended).start.cache).toBe("none");
    expect(ended.stderr.match(/cannot be kept/g)).toHaveLength(1);
    const homeless = await flexae(
      smallRun("--train-dir=train", "--valid-dir=valid", "--json", "--cache=disk"),
      { cwd, env: { FLEXAE_CACHE: "", XDG_CACHE_HOME: "", HOME: "" } },
    );
    expect(outcome(homeless).start.cache).toBe("none");
    expect(homeless.stderr).toContain("no home folder is known");
  });

  it("is built by several runs at once without harm to any", async () => {
    const runs = await Promise.all(
      ["one", "two", "three", "four"].map((name) => run("--cache=disk", `--save-dir=${name}`)),
    );
    const [first, ...others] = runs.map(outcome);
    for (const other of others) expect(other).toMatchObject({ losses: first?.losses });
    for (const { stderr } of runs) expect(stderr).toBe("");
    expect(kept()).toHaveLength(2);
    for (const name of kept()) expect(name).toMatch(/^[0-9a-f]{32}\.images$/);
    // Whole: a run that reads it gives the same.
    const later = await run("--cache=disk");
    expect(later.stderr).toBe("");
    expect(outcome(later).losses).toEqual(first?.losses);
  });

  it("is the only thing written besides the run, so images may lie in folders to be read only", async () => {
    const modes = (set: string, folder: number, file: number) => {
      for (const name of readdirSync(join(cwd, set), { recursive: true }) as string[]) {
        const path = join(cwd, set, name);
        chmodSync(path, name.endsWith(".png") ? file : folder);
      }
      chmodSync(join(cwd, set), folder);
    };
    const state = () =>
      ["train", "valid"].flatMap((set) =>
        ["", ...(readdirSync(join(cwd, set), { recursive: true }) as string[])]
          .sort()
          .map((name) => {
            const { mtimeMs, ctimeMs, size } = statSync(join(cwd, set, name));
            return [name, mtimeMs, ctimeMs, size];
          }),
      );
    for (const set of ["train", "valid"]) modes(set, 0o555, 0o444);
    const before = state();
    try {
      for (const cache of ["none", "ram", "disk", "auto"]) {
        const ended = await run(`--cache=${cache}`);
        expect(outcome(ended).losses).toHaveLength(4);
        expect(ended.stderr).toBe("");
      }
      expect(state()).toEqual(before);
    } finally {
      for (const set of ["train", "valid"]) modes(set, 0o755, 0o644);
    }
  });
});
