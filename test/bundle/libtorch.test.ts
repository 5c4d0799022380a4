// Which addon of a bundle is taken for a libtorch, and what is said where none fits.
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { root, start, temporaryFolder } from "../support/cli.ts";

function write(file: string, text = ""): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

/** The package as a bundle has it, with addons that are none. */
function bundled(...versions: string[]): string {
  const folder = join(temporaryFolder(), "app");
  for (const name of ["dist", "package.json", "scripts/flexae.mjs"]) {
    cpSync(join(root, name), join(folder, name), { recursive: true });
  }
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  write(join(folder, "bundle.json"), "{}");
  for (const version of versions) write(join(folder, `build/torch-${version}/flexae.node`), "none");
  return folder;
}

/** A libtorch that consists of what says its version. */
function libtorch(name: string, text: string): string {
  const folder = join(temporaryFolder(), "torch");
  write(join(folder, "lib/libtorch_cpu.so"));
  write(join(folder, name), text);
  return folder;
}

function summary(folder: string, LIBTORCH: string) {
  const env = { LIBTORCH, FLEXAE_ADDON: "" };
  return start([join(folder, "scripts/flexae.mjs"), "summary"], { env }).ended;
}

const header = "#define TORCH_VERSION_MAJOR 2\n\n/// Minor\n#define TORCH_VERSION_MINOR 9\n";

test.each([
  ["a Python's torch", "version.py", "__version__ = '2.11.0+cu130'\ndebug = False\n", "2.11"],
  ["an unpacked libtorch", "build-version", "2.13.0+cpu\n", "2.13"],
  ["one that set-up fetched", "include/torch/headeronly/version.h", header, "2.9"],
])("%s gets the addon of its version", async (_, name, text, version) => {
  const folder = bundled("2.9", "2.11", "2.13");
  const { code, stderr } = await summary(folder, libtorch(name, text));
  expect(code).toBe(1);
  // The addon here is none: what matters is which one was loaded.
  expect(stderr).toContain(`${join(folder, `build/torch-${version}/flexae.node`)} does not load`);
  expect(stderr).toContain("\nUnpack the bundle again");
});

test("a libtorch of another version is named, once, with those that fit", async () => {
  const torch = libtorch("build-version", "2.10.1\n");
  const { code, stderr } = await summary(bundled("2.13", "2.9"), torch);
  expect(code).toBe(1);
  const said = `LIBTORCH=${torch} is of version 2.10; this bundle takes 2.9, 2.13`;
  expect(stderr).toBe(`flexae: ${said}\n`);
});

test("one that does not say its version, and a folder that is no libtorch", async () => {
  const folder = bundled("2.13");
  const silent = libtorch("version.py", "");
  expect((await summary(folder, silent)).stderr).toContain(`${silent} is of version unknown`);
  const { stderr } = await summary(folder, "/nowhere");
  expect(stderr).toBe("flexae: LIBTORCH=/nowhere is no libtorch: it has no lib/libtorch_cpu.so\n");
});

test("without a libtorch, one line says what to set or to run", async () => {
  const folder = bundled("2.11", "2.13");
  const { code, stderr } = await summary(folder, "");
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /^flexae: no libtorch: set LIBTORCH to [^\n]*PyTorch 2\.11, 2\.13[^\n]*\n$/,
  );
  expect(stderr).toContain("run `flexae-setup`");
  const help = await start([join(folder, "scripts/flexae.mjs"), "--help"], {
    env: { LIBTORCH: "", FLEXAE_ADDON: "" },
  }).ended;
  expect(help.code).toBe(0);
  expect(help.stdout).toContain("Usage");
});
