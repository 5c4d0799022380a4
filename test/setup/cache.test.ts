// What copies of this program keep for each other, and the tools that set-up runs.

import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  digest,
  forgetCompiled,
  hasCompiled,
  keepCompiled,
  openCache,
  restoreCompiled,
} from "../../scripts/setup/cache.mjs";
import { contents } from "../../scripts/setup/files.mjs";
import { npmEnvironment } from "../../scripts/setup/npm.mjs";

let work: string;
let env: NodeJS.ProcessEnv;
beforeEach(() => {
  work = mkdtempSync(path.join(tmpdir(), "flexae-cache-"));
  env = { FLEXAE_CACHE: path.join(work, "cache") };
});
afterEach(() => rmSync(work, { recursive: true, force: true }));

const compiled = () => path.join(work, "cache", "compiled", "thing");

/** A file to be kept. */
function made(text: string): string {
  const file = path.join(work, "made", "thing.node");
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
}

describe("compiled files", () => {
  test("come back as they were, with what was said of them", async () => {
    const target = path.join(work, "elsewhere", "thing.node");
    expect(await restoreCompiled("thing", "a1", target, env)).toBe(null);
    expect(hasCompiled("thing", "a1", env)).toBe(false);

    await keepCompiled("thing", "a1", made("first"), { by: "gcc" }, env);
    await keepCompiled("thing", "b2", made("second"), {}, env);
    expect(hasCompiled("thing", "a1", env)).toBe(true);
    expect(await restoreCompiled("thing", "a1", target, env)).toEqual({ by: "gcc" });
    expect(readFileSync(target, "utf8")).toBe("first");
    expect(readdirSync(path.dirname(target))).toEqual(["thing.node"]);

    await forgetCompiled("thing", "a1", env);
    expect(await restoreCompiled("thing", "a1", target, env)).toBe(null);
    expect(readFileSync(target, "utf8")).toBe("first");
    expect(readdirSync(compiled())).toEqual(["b2"]);
  });

  test("that were damaged do not come back, and are replaced", async () => {
    const target = path.join(work, "thing.node");
    await keepCompiled("thing", "a1", made("as it should be"), {}, env);
    writeFileSync(path.join(compiled(), "a1", "thing.node"), "as it should");
    expect(await restoreCompiled("thing", "a1", target, env)).toBe(null);
    expect(existsSync(target)).toBe(false);
    await keepCompiled("thing", "a1", made("as it should be"), {}, env);
    expect(await restoreCompiled("thing", "a1", target, env)).toEqual({});
  });

  test("that were not used for longest make room; what others are writing stays", async () => {
    for (let i = 0; i < 12; i++) {
      await keepCompiled("thing", `k${i}`, made(`${i}`), {}, env);
      utimesSync(path.join(compiled(), `k${i}`), 1000 + i, 1000 + i);
    }
    mkdirSync(path.join(compiled(), ".tmp-other"));
    await restoreCompiled("thing", "k0", path.join(work, "thing.node"), env);
    await keepCompiled("thing", "new", made("new"), {}, env);
    const left = readdirSync(compiled());
    expect(left).toHaveLength(13);
    expect(left).toEqual(expect.arrayContaining([".tmp-other", "k0", "k2", "new"]));
    expect(left).not.toContain("k1");
  });

  test("are keyed by names and contents", () => {
    const folder = path.join(work, "source");
    mkdirSync(path.join(folder, "a", "b"), { recursive: true });
    writeFileSync(path.join(folder, "a", "b", "one.cpp"), "1");
    writeFileSync(path.join(folder, "a", "README.md"), "about");
    writeFileSync(path.join(folder, "two.h"), "2");
    const key = () => digest(...contents(folder, ["a", "two.h", "absent"], /\.(cpp|h)$/));
    const before = key();
    writeFileSync(path.join(folder, "a", "README.md"), "more about");
    expect(key()).toBe(before);
    writeFileSync(path.join(folder, "two.h"), "3");
    expect(key()).not.toBe(before);
    expect(digest("ab", "c")).not.toBe(digest("a", "bc"));
  });
});

test("a cache that cannot be written is told in one line, with the remedy", async () => {
  writeFileSync(path.join(work, "file"), "");
  const cases: [string, RegExp][] = [
    [path.join(work, "file"), /a part of the path is not a folder/],
  ];
  if (process.getuid?.() !== 0) {
    mkdirSync(path.join(work, "locked"));
    chmodSync(path.join(work, "locked"), 0o555);
    cases.push([path.join(work, "locked"), /permission denied/]);
  }
  for (const [folder, reason] of cases) {
    const problem = await openCache("libtorch", { FLEXAE_CACHE: folder }).catch((error) => error);
    expect(problem.message).toMatch(reason);
    expect(problem.message).toMatch(
      /^The cache folder .+ cannot be written: .+FLEXAE_CACHE[^\n]+$/,
    );
  }
});

test("npm installs lockfiles whatever it was told for another folder", () => {
  const told = {
    PATH: "/bin",
    npm_config_global: "true",
    npm_config_omit: "dev",
    NPM_CONFIG_PACKAGE_LOCK: "false",
    npm_config_loglevel: "silent",
    npm_config_registry: "http://127.0.0.1/",
    npm_config_offline: "true",
  };
  expect(npmEnvironment(told)).toEqual({
    PATH: "/bin",
    npm_config_loglevel: "warn",
    npm_config_registry: "http://127.0.0.1/",
    npm_config_offline: "true",
  });
});
