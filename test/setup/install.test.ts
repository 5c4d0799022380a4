// The way of a new user, from `npm pack` to pictures: install in an empty project, set up, import,
// train; then whatever may break is broken, and what `flexae doctor` says is done.
// `npm run test:install` does the first part with every package manager and Node.
import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { root } from "../support/cli.ts";

/** What a compiler takes, should this be the first set-up of these sources. */
const COMPILING_MS = 900_000;

const { modules: abi } = process.versions;
let work: string;
let project: string;
let copy: string;
let bare: string;

/** The environment of a user who has set nothing, and was not started by npm. */
function environment(path: string): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env).filter(
    ([name]) => !/^(npm_|NODE_ENV$|VITEST|OPENCV|OpenCV|FLEXAE_ADDON$|INIT_CWD$)/.test(name),
  );
  return { ...Object.fromEntries(entries), PATH: path, NO_COLOR: "1" };
}

/** Runs a program in the project. */
function run(command: string, args: string[], path = process.env.PATH as string) {
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd: project,
    env: environment(path),
    encoding: "utf8",
    timeout: COMPILING_MS,
  });
  return { status, stdout, stderr, all: `${stdout}\n${stderr}` };
}

beforeAll(() => {
  work = mkdtempSync(join(tmpdir(), "flexae-install-"));
  project = join(work, "project");
  copy = join(project, "node_modules", "flexible-autoencoder");
  mkdirSync(project);
  writeFileSync(join(project, "package.json"), '{ "name": "project", "private": true }');
  // As strict as users may have it; set-up is started by hand and must not mind.
  writeFileSync(join(project, ".npmrc"), "ignore-scripts=true\n");
  // No compiler, CMake or Python is found where the package is installed.
  bare = join(work, "bin");
  mkdirSync(bare);
  for (const program of ["node", "npm", "npx", "sh"]) {
    const found = spawnSync("which", [program], { encoding: "utf8" }).stdout.trim();
    const target = program === "node" ? process.execPath : realpathSync(found);
    symlinkSync(target, join(bare, program));
  }
});

afterAll(() => rmSync(work, { recursive: true, force: true }));

test("installs in an empty project, with nothing but Node and npm", () => {
  // dist/ is compiled by the global set-up; the scripts would do it again under other tests.
  const pack = ["pack", root, "--ignore-scripts", `--pack-destination=${work}`];
  expect(run("npm", pack).status).toBe(0);
  const tarball = readdirSync(work).find((name) => name.endsWith(".tgz")) as string;
  const install = ["install", "--prefer-offline", join(work, tarball)];
  const { status, all } = run("npm", install, bare);
  expect(status, all).toBe(0);

  // pnpm fails over a dependency with any of these, and yarn 1 would compile.
  const { scripts } = JSON.parse(readFileSync(join(copy, "package.json"), "utf8"));
  for (const name of ["preinstall", "install", "postinstall"]) {
    expect(scripts).not.toHaveProperty(name);
  }
  expect(existsSync(join(copy, "binding.gyp"))).toBe(false);
  const { dependencies } = JSON.parse(readFileSync(join(copy, "package.json"), "utf8"));
  for (const name of Object.keys(dependencies)) {
    const path = join(project, "node_modules", name, "package.json");
    expect(JSON.parse(readFileSync(path, "utf8")).scripts ?? {}).not.toHaveProperty("install");
  }
});

test("then says in one line what to run", () => {
  const flexae = run("npx", ["flexae", "--version"], bare);
  expect(flexae.status, flexae.all).toBe(0);
  expect(flexae.stderr).toMatch(/^flexae: [^\n]*run `npx flexae-setup`\n$/m);
  const imported = run("node", ["--input-type=module", "-e", 'import "flexible-autoencoder";']);
  expect(imported.status).toBe(0);
  expect(imported.stderr.match(/run `npx flexae-setup`/g)).toHaveLength(1);
});

test(
  "sets up by that line, is imported, trains and draws",
  () => {
    const setup = run("npx", ["flexae-setup"]);
    expect(setup.status, setup.all).toBe(0);
    expect(setup.stdout).toMatch(/opencv4nodejs: .*\(ABI \d+\)/);

    const consumer = join(project, "consumer.mjs");
    copyFileSync(join(root, "test", "support", "consumer.mjs"), consumer);
    const { status, stdout, stderr } = run("node", [consumer, join(inject("digits"), "train")]);
    expect(status, stderr).toBe(0);
    expect(stderr).toBe("");
    const result = JSON.parse(stdout);
    expect(result).toMatchObject({ stopped: "finished", warnings: [], shape: [1, 16] });
    const drawn = readdirSync(result.runDir).filter((name) => name.endsWith(".png"));
    expect([...result.pictures].sort()).toEqual(drawn.sort());
    expect(drawn).toHaveLength(42);
  },
  COMPILING_MS,
);

test("sets up a second time from the cache, without a network, and in no time", () => {
  rmSync(join(copy, "build"), { recursive: true });
  rmSync(join(copy, "opencv", "build"), { recursive: true });
  rmSync(join(copy, ".setup"), { recursive: true });
  const nowhere = {
    npm_config_registry: "http://127.0.0.1:1",
    PIP_INDEX_URL: "http://127.0.0.1:1",
  };
  const names = Object.entries(nowhere).map(([name, value]) => `${name}=${value}`);
  const { status, stdout, all } = run("env", [...names, "npx", "flexae-setup"]);
  expect(status, all).toBe(0);
  expect(stdout).toMatch(/opencv4nodejs: .*compiled earlier/);
  expect(stdout).toMatch(/Native addon: .*compiled earlier/);
});

/** Ways to break an installation, what doctor then says, and whether training still works. */
const damages: [string, () => void, RegExp, number][] = [
  [
    "an addon cut short",
    () => truncateSync(join(copy, "build", "Release", "flexae.node"), 5000),
    /✗ addon .*(does not load|loading it ended the process)/,
    1,
  ],
  [
    "no addon",
    () => rmSync(join(copy, "build", "Release", "flexae.node")),
    /✗ addon .*was not found/,
    1,
  ],
  [
    "an opencv4nodejs cut short",
    () => truncateSync(join(copy, "opencv", "build", `abi-${abi}`, "opencv4nodejs.node"), 5000),
    /– opencv4nodejs .*(does not load|loading it ended the process)/,
    0,
  ],
  [
    "an opencv4nodejs of another Node",
    () => {
      const build = join(copy, "opencv", "build");
      renameSync(join(build, `abi-${abi}`), join(build, "abi-83"));
      const note = { node: "14.21.3", abi: "83" };
      writeFileSync(join(build, "abi-83", "built.json"), JSON.stringify(note));
    },
    /– opencv4nodejs .*it was built for Node 14\.21\.3 \(ABI 83\), and this is Node/,
    0,
  ],
];

test.each(damages)("with %s, doctor says what cures it", (_, damage, said, code) => {
  damage();
  const broken = run("npx", ["flexae", "doctor"]);
  expect(broken.status, broken.all).toBe(code);
  expect(broken.stdout).toMatch(said);
  // The line below it.
  const line = broken.stdout.split("\n").findIndex((text) => said.test(text));
  const remedy = /→ Run `(npx flexae-setup)`/.exec(broken.stdout.split("\n")[line + 1] as string);
  const [command, ...args] = (remedy?.[1] ?? "false").split(" ") as [string, ...string[]];
  const cure = run(command, args);
  expect(cure.status, cure.all).toBe(0);
  const whole = run("npx", ["flexae", "doctor"]);
  expect(whole.status).toBe(0);
  expect(whole.stdout).toContain("Training works here.");
});
