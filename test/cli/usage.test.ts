import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { kebabCase } from "../../ts/config/names.ts";
import { PARAMETERS } from "../../ts/config/parameters.ts";
import { flexae, main, root, smallRun, start, temporaryFolder } from "../support/cli.ts";

describe("--help", () => {
  it("is grouped, and shows every parameter with its default", async () => {
    const { code, stdout, stderr } = await flexae(["--help"]);
    expect(code).toBe(0);
    expect(stderr).toBe("");
    const groups = ["Model:", "Training:", "Data:", "Output:", "Commands:"];
    for (const group of groups) expect(stdout).toContain(`\n${group}\n`);
    for (const { name } of PARAMETERS) expect(stdout).toContain(`--${kebabCase(name)} <`);
    expect(stdout).toMatch(/--train-epochs <n> +epochs \(100\)/);
    expect(stdout).toMatch(/--filters .*\(32,64,128,256\)/);
    expect(stdout).toContain("logs/ae_YYYYMMDD_HHMMSS");
  });

  it("shows a command what concerns it", async () => {
    const run = await flexae(["run", "--help"]);
    expect(run.stdout).toContain("--train-dir");
    const summary = await flexae(["summary", "-h"]);
    expect(summary.stdout).toContain("--filters");
    expect(summary.stdout).not.toContain("--train-dir");
    const bench = await flexae(["bench", "--help"]);
    expect(bench.stdout).toContain("--steps <n>");
    expect(bench.stdout).toContain("--threads");
    expect(bench.stdout).toContain("--vertical-flip");
    expect(bench.stdout).not.toMatch(/--(checkpoint|keep|on-nan|train-|save-|patience|period)/);
    const doctor = await flexae(["doctor", "--help"]);
    expect(doctor.code).toBe(0);
    expect(doctor.stdout).toContain("--json");
    expect(doctor.stdout).not.toContain("--filters");
  });

  it("loads nothing native", async () => {
    const watch = `
      import { readFileSync } from "node:fs";
      process.on("exit", () => {
        const native = readFileSync("/proc/self/maps", "utf8").match(/\\S+(\\.node|opencv\\S*|torch\\S*)$/m);
        process.stderr.write("native: " + (native?.[0] ?? "none"));
      });`;
    const url = `data:text/javascript,${encodeURIComponent(watch)}`;
    const { code, stderr } = await start(["--import", url, main, "--help"]).ended;
    expect(code).toBe(0);
    expect(stderr).toBe("native: none");
  });

  it("shows the version of the package", async () => {
    const { stdout } = await flexae(["--version"]);
    const { default: pack } = await import("../../package.json", { with: { type: "json" } });
    expect(stdout).toBe(`${pack.version}\n`);
  });
});

describe("wrong usage", () => {
  it.each<[string[], RegExp]>([
    [[], /No command was given/],
    [["rn"], /Unknown command 'rn'.*run/],
    [["run", "more"], /Too many arguments/],
    [["evaluate"], /Missing required argument 'run'/],
    [["-q", "run"], /Unknown option '-q'/],
    [["run", "--train-epoch=3"], /--train-epoch: did you mean --train-epochs\?/],
    [["--train_epoch=3", "run"], /--train_epoch: did you mean --train_epochs\?/],
    [["run", "--filters"], /for --filters but received nothing/],
    [["run", "--filters", "--json"], /for --filters but received nothing/],
    [
      ["run", "--train_epochs=ten"],
      /Expected an integer of at least 1 for --train_epochs but received "ten"/,
    ],
    [["run", "--filters=[32,0]"], /for --filters but received "\[32,0\]"/],
    [["run", "--batch-size=-1"], /for --batch-size but received "-1"/],
    [["run", "--imageShape=28"], /two integers from 8 to 65536 \(height, width\)/],
    [["run", "--activation=rleu"], /did you mean relu\?/],
    [["run", "--optimizer=adan"], /did you mean adam\?/],
    [["run", "--kernel-initializer=glorot"], /did you mean glorot_uniform\?/],
    [["run", "--config", "/nowhere.yaml"], /\/nowhere\.yaml cannot be read: no such file/],
    [["run", "--config"], /argument missing/],
    [["doctor", "--filters=3"], /--filters means nothing to flexae doctor/],
    [["evaluate", "x", "--filters=3"], /--filters means nothing to flexae evaluate/],
    [["evaluate", "/nowhere"], /There is no run folder \/nowhere/],
    [["evaluate", "last"], /There is no finished run in logs\//],
  ])("%j ends with 2 and one line", async (args, message) => {
    const cwd = temporaryFolder();
    const { code, stdout, stderr } = await flexae(args, { cwd });
    expect(stderr).toMatch(message);
    expect(code).toBe(2);
    expect(stdout).toBe("");
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(stderr).not.toMatch(/\n\s+at /);
    expect(readdirSync(cwd)).toEqual([]);
  });

  it("shows a stack with --debug", async () => {
    const { code, stderr } = await flexae(["run", "--filters=x", "--debug"]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/\n\s+at /);
  });

  it("names the layer an image is too small for, before anything is written", async () => {
    const cwd = temporaryFolder();
    for (const command of ["run", "summary"]) {
      const [, ...settings] = smallRun("--image-shape=8,8", "--filters=4,4,4,4,4", "--pooling=max");
      const { code, stderr } = await flexae([command, ...settings], { cwd });
      expect(stderr).toMatch(/conv_\d|layer \d/i);
      expect(code).toBe(2);
    }
    expect(readdirSync(cwd)).toEqual([]);
  });

  it("refuses a device that is not there", async () => {
    const cwd = temporaryFolder();
    const { code, stderr } = await flexae(smallRun("--device=cuda:999"), { cwd });
    expect(stderr).toMatch(/device cuda:999 /);
    expect(code).toBe(2);
    expect(readdirSync(cwd)).toEqual([]);
  });

  it.each([
    ["cluster", ["-k", "2"]],
    ["map", ["--n-neighbors=2"]],
    ["duplicates", []],
  ])("refuses a device for %s that is not there", async (command, more) => {
    const cwd = temporaryFolder();
    writeFileSync(join(cwd, "t.csv"), "filename,embedding_0\na.png,1\nb.png,2\nc.png,4\n");
    for (const device of ["cuda:999", "gpu"]) {
      const { code, stderr } = await flexae([command, "t.csv", ...more, `--device=${device}`], {
        cwd,
      });
      expect(stderr).toMatch(
        device === "gpu"
          ? /Expected auto, cpu, cuda or cuda:N for device but received gpu/
          : /device cuda:999 /,
      );
      expect(code).toBe(2);
    }
    expect(readdirSync(cwd)).toEqual(["t.csv"]);
  });

  it("refuses a run folder that holds files", async () => {
    const cwd = temporaryFolder();
    mkdirSync(join(cwd, "old"));
    writeFileSync(join(cwd, "old", "thesis.txt"), "x");
    const { code, stderr } = await flexae(smallRun("--save-dir=old"), { cwd });
    expect(stderr).toMatch(/save_dir old already holds files: .*--overwrite/);
    expect(code).toBe(2);
    expect(readdirSync(join(cwd, "old"))).toEqual(["thesis.txt"]);
    expect(readdirSync(cwd)).toEqual(["old"]);
  });

  it("says what to do when the addon is missing", async () => {
    const { code, stderr } = await flexae(["summary"], {
      env: { FLEXAE_ADDON: "/no/flexae.node" },
    });
    expect(code).toBe(1);
    expect(stderr).toMatch(/\/no\/flexae\.node.*\n.*npm run setup/);
  });

  it("says what to do when the addon is broken", async () => {
    const path = join(temporaryFolder(), "flexae.node");
    writeFileSync(path, "not a library");
    const { code, stderr } = await flexae(["summary"], { env: { FLEXAE_ADDON: path } });
    expect(code).toBe(1);
    expect(stderr).toMatch(/does not load: .*\n.*npm run/);
  });
});

describe("images that cannot be used", () => {
  it("ends with 3 and the remedy, before anything is written", async () => {
    const cwd = temporaryFolder();
    mkdirSync(join(cwd, "empty"));
    writeFileSync(join(cwd, "file"), "x");
    writeFileSync(join(cwd, "binary"), Buffer.of(0x89, 0x50, 0x4e, 0x47, 0));
    const cases: [string, RegExp][] = [
      ["--train-dir=nowhere", /train_dir nowhere cannot be used: no such file.*--train-dir/],
      ["--valid-dir=nowhere", /valid_dir nowhere cannot be used: no such file.*--valid-dir/],
      ["--train-dir=file", /The files that train_dir file lists are not there, such as .*\/x:/],
      ["--train-dir=binary", /train_dir binary is neither a folder nor a list of images/],
      ["--valid-dir=empty", /empty.*no images|no images.*empty/],
    ];
    for (const [flag, message] of cases) {
      const { code, stdout, stderr } = await flexae(smallRun(flag), { cwd });
      expect(stderr).toMatch(message);
      expect(code, stderr).toBe(3);
      expect(stdout).toBe("");
      expect(stderr.trimEnd().split("\n").length).toBeLessThanOrEqual(2);
    }
    expect(readdirSync(cwd).sort()).toEqual(["binary", "empty", "file"]);
  });

  it("stops at a folder of files that are no images", async () => {
    const cwd = temporaryFolder();
    mkdirSync(join(cwd, "bad"));
    for (let i = 0; i < 8; i++) writeFileSync(join(cwd, "bad", `${i}.png`), "not a picture");
    const { code, stderr } = await flexae(smallRun("--train-dir=bad", "--save-dir=run"), { cwd });
    expect(stderr).toMatch(/bad/);
    expect(code, stderr).toBe(3);
  });
});

describe("npx flexae", () => {
  it("starts, also once the program has been compiled again", () => {
    const cache = temporaryFolder();
    const version = () =>
      execFileSync("npx", ["--no-install", "flexae", "--version"], {
        cwd: root,
        env: { ...process.env, npm_config_cache: cache },
        encoding: "utf8",
      });
    const first = version();
    expect(first).toMatch(/^\d+\.\d+\.\d+\n$/);
    // npm made its file executable; the compiler writes dist/ anew without that.
    chmodSync(join(root, "dist/cli/main.js"), 0o644);
    expect(version()).toBe(first);
  });
});
