// How a bundle's programs start: which C library, which libraries, which script. The loaders here
// are scripts that print what they are given.
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { root } from "../support/cli.ts";

let work: string;
let bundle: string;
let host: string;

function write(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  chmodSync(file, 0o755);
}

/** A loader that says its name and its arguments, a line each, and of which glibc it is. */
const loader = (name: string, glibc: string) =>
  `#!/bin/sh\n# ${glibc}\nprintf '%s\\n' ${name} "$@" "LIBTORCH=$LIBTORCH"\n`;

beforeAll(() => {
  work = mkdtempSync(join(tmpdir(), "flexae-launcher-"));
  bundle = join(work, "bundle");
  host = join(work, "host", "ld.so");
  const launch = join(bundle, "bin", "launch");
  mkdirSync(dirname(launch), { recursive: true });
  const defines = [`-DFLEXAE_LOADER="${host}"`, "-DFLEXAE_GLIBC_MINOR=34", "-D_GNU_SOURCE"];
  const source = join(root, "scripts/bundle/launcher.c");
  const flags = ["-static", "-std=c11", "-Wall", "-Wextra", "-Werror"];
  execFileSync("cc", [...flags, ...defines, "-o", launch, source], { stdio: "inherit" });
  for (const name of ["flexae", "flexae-setup", "node"]) {
    symlinkSync("launch", join(bundle, "bin", name));
  }
  write(join(bundle, "lib/glibc/ld.so"), loader("bundled", ""));
});

beforeEach(() => write(host, loader("host", "ld.so (X 2.34-1) stable release version 2.34.")));

afterAll(() => rmSync(work, { recursive: true, force: true }));

/** What the loader got: its name, the library path by folder, and the rest. */
function started(program: string, args: string[] = [], env: NodeJS.ProcessEnv = {}) {
  const { stdout, stderr, status } = spawnSync(join(bundle, "bin", program), args, {
    env,
    encoding: "utf8",
  });
  const [name, , path = "", ...more] = stdout.trimEnd().split("\n");
  const libtorch = more.pop();
  return { name, folders: path.split(":"), rest: more, libtorch, stderr, status };
}

test("each name starts its script, with all arguments as they are", () => {
  const common = [join(bundle, "lib/node"), "--require", join(bundle, "lib/program.cjs")];
  const script = (name: string) => join(bundle, "app/scripts", name);
  expect(started("flexae", ["run", "a b", ""]).rest).toEqual([
    ...common,
    script("flexae.mjs"),
    "run",
    "a b",
    "",
  ]);
  expect(started("flexae-setup").rest).toEqual([...common, script("quickstart.mjs")]);
  expect(started("node", ["-p", "1"]).rest).toEqual([...common, "-p", "1"]);
});

test("a link from elsewhere finds the bundle", () => {
  const link = join(work, "flexae");
  symlinkSync(join(bundle, "bin/flexae"), link);
  const { stdout } = spawnSync(link, [], { env: {}, encoding: "utf8" });
  expect(stdout).toContain(`\n${join(bundle, "app/scripts/flexae.mjs")}\n`);
});

test.each([
  ["as new as is needed", "Debian GLIBC 2.34-9) stable release version 2.34.", "host"],
  ["newer", "GNU libc) development release version 2.40.9000.", "host"],
  ["older", "Ubuntu GLIBC 2.33) stable release version 2.33.", "bundled"],
  ["silent about its version", "", "bundled"],
])("a host's C library that is %s", (_, glibc, chosen) => {
  write(host, loader("host", glibc));
  const { name, folders } = started("flexae");
  expect(name).toBe(chosen);
  const own = join(bundle, "lib");
  expect(folders).toEqual(chosen === "host" ? [own] : [join(own, "glibc"), own]);
});

test("a host without a C library", () => {
  rmSync(host);
  expect(started("flexae").name).toBe("bundled");
});

test("libtorch's folders come behind the bundle's, and the user's last", () => {
  const site = join(work, "site-packages");
  const libtorch = join(site, "torch");
  mkdirSync(join(libtorch, "lib"), { recursive: true });
  mkdirSync(join(site, "nvidia/cu13/lib"), { recursive: true });
  mkdirSync(join(site, "nvidia/no-libraries"), { recursive: true });
  const given = started("flexae", [], { LIBTORCH: libtorch, LD_LIBRARY_PATH: "/a:/b" });
  expect(given.folders).toEqual([
    join(bundle, "lib"),
    join(libtorch, "lib"),
    `${libtorch}/../nvidia/cu13/lib`,
    "/a",
    "/b",
  ]);
  expect(given.libtorch).toBe(`LIBTORCH=${libtorch}`);
});

test("what set-up noted counts where LIBTORCH is not set", () => {
  const note = join(bundle, "app/.setup/libtorch");
  write(note, "/fetched/torch");
  try {
    expect(started("flexae").libtorch).toBe("LIBTORCH=/fetched/torch");
    expect(started("flexae", [], { LIBTORCH: "" }).folders).toContain("/fetched/torch/lib");
    expect(started("flexae", [], { LIBTORCH: "/mine" }).libtorch).toBe("LIBTORCH=/mine");
  } finally {
    rmSync(note);
  }
});

test("a bundle without its C library says what cannot be started", () => {
  rmSync(host);
  const missing = join(bundle, "lib/glibc/ld.so");
  rmSync(missing);
  const { status, stderr } = started("flexae");
  write(missing, loader("bundled", ""));
  expect(status).toBe(1);
  expect(stderr).toBe(`flexae: cannot start ${missing}: No such file or directory\n`);
});
