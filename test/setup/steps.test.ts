import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { outdatedPackages } from "../../scripts/setup/packages.mjs";
import { root } from "../../scripts/setup/paths.mjs";
import { done, duration, runSteps, SetupError } from "../../scripts/setup/steps.mjs";
import { installPackages } from "../../scripts/setup/system.mjs";

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
