import { spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { outdatedPackages } from "../../scripts/setup/packages.mjs";
import { root } from "../../scripts/setup/paths.mjs";
import { done, duration, runMain, runSteps, SetupError } from "../../scripts/setup/steps.mjs";
import { installPackages } from "../../scripts/setup/system.mjs";
import { withoutPrivileges } from "../support/cli.ts";

let work: string;
beforeEach(() => {
  work = mkdtempSync(path.join(tmpdir(), "flexae-steps-"));
});
afterEach(() => rmSync(work, { recursive: true, force: true }));

test("steps are numbered, named and timed; a done one says so; the first failure stops", async () => {
  let text = "";
  const ran: string[] = [];
  const step = (name: string, result: () => unknown) => ({
    name,
    run: async () => {
      ran.push(name);
      return result();
    },
  });
  const steps = [
    step("one", () => "made it"),
    step("two", () => done("there")),
    step("three", () => {
      throw new SetupError("no");
    }),
    step("four", () => "never"),
  ];
  await expect(
    runSteps(steps as Parameters<typeof runSteps>[0], (part: string) => {
      text += part;
      return true;
    }),
  ).rejects.toThrow("no");
  expect(ran).toEqual(["one", "two", "three"]);
  expect(text).toMatch(/\[1\/4\] one: made it \(\d+\.\d s\)/);
  expect(text).toMatch(/\[2\/4\] two: already done, there \(\d+\.\d s\)/);
});

test("durations read well", () => {
  expect([0, 59_900, 60_000, 125_400].map(duration)).toEqual([
    "0.0 s",
    "59.9 s",
    "1 min 00 s",
    "2 min 05 s",
  ]);
});

test("without the right to install, the command to type is told", async () => {
  await expect(installPackages(["libopencv-dev", "cmake"], null)).rejects.toThrow(
    "sudo apt-get install -y libopencv-dev cmake",
  );
});

test("a clang that cannot link libFuzzer wants the package of its runtime", () => {
  const bin = path.join(work, "bin");
  mkdirSync(bin);
  const which = spawnSync("which", ["which"], { encoding: "utf8" }).stdout.trim();
  symlinkSync(which, path.join(bin, "which"));
  const system = path.join(root, "scripts", "setup", "system.mjs");
  const script = `
    const { missingPackages } = await import(process.argv[1]);
    console.log(missingPackages("fuzz").join());
  `;
  const missing = (clang: string | null) => {
    if (clang !== null) writeFileSync(path.join(bin, "clang++"), clang, { mode: 0o755 });
    const args = ["--input-type=module", "-e", script, system];
    const env = { PATH: bin };
    return spawnSync(process.execPath, args, { env, encoding: "utf8" }).stdout.trim();
  };
  expect(missing(null)).toBe("clang,libclang-rt-dev");
  // A compiler reads its source; one that did not would end before all is written to it.
  const compiler = (code: number) => `#!/bin/sh\nwhile read -r line; do :; done\nexit ${code}\n`;
  expect(missing(compiler(1))).toBe("libclang-rt-dev");
  expect(missing(compiler(0))).toBe("");
});

test("quickstart without cmake and without apt stops with the command and a failing exit code", () => {
  // A PATH with what is needed to look around, and no cmake, apt-get or sudo on it.
  const bin = path.join(work, "bin");
  mkdirSync(bin);
  for (const program of ["node", "which", "c++", "make", "python3", "sh"]) {
    const found = spawnSync("which", [program], { encoding: "utf8" }).stdout.trim();
    symlinkSync(program === "node" ? process.execPath : found, path.join(bin, program));
  }
  const result = spawnSync(
    process.execPath,
    [path.join(root, "scripts", "quickstart.mjs"), "--no-train"],
    {
      env: { PATH: bin, HOME: work },
      encoding: "utf8",
    },
  );
  expect(result.status).toBe(1);
  expect(result.stderr).toContain("sudo apt-get install -y cmake");
  expect(result.stderr).not.toMatch(/\n\s+at /);
  expect(result.stdout).not.toContain("npm packages");
});

/** Runs set-up with a `PATH` of nothing but some programs, of which `fakes` are scripts. */
function setUp(
  args: string[],
  programs: string[],
  fakes: Record<string, string>,
  env: NodeJS.ProcessEnv,
) {
  const bin = path.join(work, "bin");
  mkdirSync(bin);
  for (const program of programs) {
    const found = spawnSync("which", [program], { encoding: "utf8" }).stdout.trim();
    symlinkSync(program === "node" ? process.execPath : found, path.join(bin, program));
  }
  for (const [program, script] of Object.entries(fakes)) {
    writeFileSync(path.join(bin, program), script, { mode: 0o755 });
  }
  return spawnSync(process.execPath, [path.join(root, "scripts", "quickstart.mjs"), ...args], {
    env: { PATH: bin, HOME: work, ...env },
    encoding: "utf8",
  });
}

test("a python3 without pip is told in one line, with what installs it", () => {
  const python = spawnSync("which", ["python3"], { encoding: "utf8" }).stdout.trim();
  const result = setUp(
    ["--only", "libtorch"],
    ["which", "ldd"],
    {
      python3: `#!/bin/sh\n[ "$2" = pip ] && { echo "No module named pip" >&2; exit 1; }\nexec ${python} "$@"\n`,
    },
    { FLEXAE_CACHE: path.join(work, "cache"), FLEXAE_LIBTORCH_URL: "http://127.0.0.1:1" },
  );
  expect(result.status).toBe(1);
  expect(result.stderr).toMatch(/^pip: python3 has no pip; .*apt-get install -y python3-pip$/m);
  expect(result.stderr).not.toContain("No module named pip");
  expect(result.stderr.trim().split("\n")).toHaveLength(4);
});

test("a cache that cannot be written is told in one line", () => {
  writeFileSync(path.join(work, "file"), "");
  const env = { FLEXAE_CACHE: path.join(work, "file") };
  const result = setUp(["--only", "libtorch"], ["which"], {}, env);
  expect(result.status).toBe(1);
  expect(result.stderr.trim()).toMatch(/^The cache folder \S+ cannot be written: [^\n]+$/);
});

test("a package that somebody else installed is told in one line", () => {
  const copy = path.join(work, "package");
  cpSync(path.join(root, "scripts"), path.join(copy, "scripts"), {
    recursive: true,
    filter: (name) => path.basename(name) !== "node_modules",
  });
  chmodSync(copy, 0o555);
  const script = path.join(copy, "scripts", "quickstart.mjs");
  const [command, ...args] = [...withoutPrivileges(), process.execPath, script];
  const result = spawnSync(command as string, args, { encoding: "utf8" });
  chmodSync(copy, 0o755);
  expect(result.status).toBe(1);
  expect(result.stderr.trim()).toMatch(
    /^\S+package cannot be written: permission denied\. Run this as the user [^\n]+$/,
  );
});

test("what the system refuses is told with its path, and without a stack", async () => {
  writeFileSync(path.join(work, "file"), "");
  let text = "";
  const write = process.stderr.write;
  process.stderr.write = ((part: string) => {
    text += part;
    return true;
  }) as typeof write;
  try {
    await runMain(() => mkdir(path.join(work, "file", "folder")));
    await runMain(() => {
      throw new TypeError("a defect");
    });
  } finally {
    process.stderr.write = write;
    process.exitCode = 0;
  }
  const [refused, defect] = text.trim().split("\n\n") as [string, string];
  expect(refused).toBe(
    `${path.join(work, "file", "folder")} cannot be used (mkdir): a part of the path is not a folder.`,
  );
  expect(defect).toMatch(/^TypeError: a defect\n +at /);
});

test("a wrong option is answered in one line and the usage", () => {
  const result = spawnSync(
    process.execPath,
    [path.join(root, "scripts", "quickstart.mjs"), "--fast"],
    {
      encoding: "utf8",
    },
  );
  expect(result.status).toBe(1);
  expect(result.stderr).toMatch(/'--fast'/);
  expect(result.stderr).toContain("Usage:");
});

test("npm packages count as installed only in the lockfile's versions", () => {
  const lock = (packages: object) => JSON.stringify({ packages });
  const modules = path.join(work, "node_modules");
  mkdirSync(path.join(modules, "a"), { recursive: true });
  mkdirSync(path.join(modules, "b"));
  const wanted = {
    "": { name: "x" },
    "node_modules/a": { version: "1.0.0" },
    "node_modules/b": { version: "2.0.0" },
    "node_modules/other-system": { version: "1.0.0", optional: true },
  };
  writeFileSync(path.join(work, "package-lock.json"), lock(wanted));
  expect(outdatedPackages(work)).toEqual(["a", "b"]);

  const installed = {
    "node_modules/a": { version: "1.0.0" },
    "node_modules/b": { version: "1.9.0" },
  };
  writeFileSync(path.join(modules, ".package-lock.json"), lock(installed));
  expect(outdatedPackages(work)).toEqual(["b"]);

  installed["node_modules/b"].version = "2.0.0";
  writeFileSync(path.join(modules, ".package-lock.json"), lock(installed));
  expect(outdatedPackages(work)).toEqual([]);

  rmSync(path.join(modules, "a"), { recursive: true });
  expect(outdatedPackages(work)).toEqual(["a"]);
});
