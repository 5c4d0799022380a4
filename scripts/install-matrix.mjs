#!/usr/bin/env node
// Installs the packed package into empty projects by every package manager under every Node that is
// supported, sets it up there, trains and draws:
//
//   npm run test:install -- [--node 20,22] [--manager npm@12,pnpm@11]
//
// Nodes and package managers come from npm, and are kept in the cache.

import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { addonStep } from "./setup/addon.mjs";
import { openCache } from "./setup/cache.mjs";
import { libtorchStep } from "./setup/libtorch.mjs";
import { npmEnvironment } from "./setup/npm.mjs";
import { packagesStep } from "./setup/packages.mjs";
import { root } from "./setup/paths.mjs";
import { runLogged } from "./setup/run.mjs";
import { sampleFolder, sampleStep } from "./setup/sample.mjs";
import { duration, runMain, runSteps, SetupError } from "./setup/steps.mjs";
import { systemStep } from "./setup/system.mjs";
import { typescriptStep } from "./setup/typescript.mjs";

const NODES = ["20", "22", "24", "26"];
const MANAGERS = ["npm@10", "npm@11", "npm@12", "pnpm@10", "pnpm@11", "pnpm@12"];

/** A package of npm, the newest of a major version, in the cache. Returns its folder. */
async function fetched(name, major) {
  const store = await openCache("install-matrix");
  const folder = path.join(store, `${name}-${major}`);
  const found = path.join(folder, "node_modules", name);
  if (!existsSync(path.join(found, "package.json"))) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, "package.json"), '{ "private": true }');
    const args = ["install", "--no-save", "--ignore-scripts", `${name}@${major}`];
    await runLogged("install-matrix", "npm", args, { cwd: folder, env: npmEnvironment() });
  }
  return found;
}

/** How a package manager installs something, and runs a program of the project. */
async function managerOf(spec) {
  const [name, major] = spec.split("@");
  const folder = await fetched(name, major);
  const bin = path.join(folder, "bin");
  if (name === "npm") {
    return {
      spec,
      install: [path.join(bin, "npm-cli.js"), "install"],
      exec: [path.join(bin, "npx-cli.js")],
    };
  }
  const program = ["pnpm.cjs", "pnpm.mjs"].find((file) => existsSync(path.join(bin, file)));
  return {
    spec,
    install: [path.join(bin, program), "add"],
    exec: [path.join(bin, program), "exec"],
  };
}

/** What npm tells the scripts that it runs is not for the projects made here. */
function environment(node) {
  const entries = Object.entries(process.env).filter(
    ([name]) => !/^(npm_|NODE_ENV$|OPENCV|OpenCV|INIT_CWD$)/.test(name),
  );
  const { PATH, ...env } = Object.fromEntries(entries);
  return { ...env, PATH: `${path.join(node, "bin")}${path.delimiter}${PATH}`, NO_COLOR: "1" };
}

/** One project: a Node, a package manager. Commands in it are checked as they go. */
class Project {
  constructor(node, manager) {
    this.node = path.join(node, "bin", "node");
    this.manager = manager;
    this.env = environment(node);
    this.folder = mkdtempSync(path.join(tmpdir(), "flexae-install-"));
    writeFileSync(path.join(this.folder, "package.json"), '{ "name": "x", "private": true }');
  }

  run(args, wanted = 0) {
    const { error, status, stdout, stderr } = spawnSync(this.node, args, {
      cwd: this.folder,
      env: this.env,
      encoding: "utf8",
      timeout: 900_000,
    });
    if (error || status !== wanted) {
      const shown = args.map((part) => path.basename(part)).join(" ");
      const tail = `${stdout}\n${stderr}`.trim().split("\n").slice(-15).join("\n");
      throw new SetupError(`${shown}: ${error?.message ?? `exit code ${status}`}\n${tail}`);
    }
    return { stdout, stderr };
  }

  install(tarball, ...more) {
    return this.run([...this.manager.install, ...more, tarball]);
  }

  exec(program, wanted) {
    return this.run([...this.manager.exec, program], wanted);
  }

  remove() {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function expect(holds, message) {
  if (!holds) throw new SetupError(message);
}

/** Everything that a new user does. Returns how long set-up took. */
function tryOut(node, manager, tarball) {
  const bare = new Project(node, manager);
  try {
    bare.install(tarball, "--ignore-scripts");
    const { stderr } = bare.exec("flexae", 2);
    expect(/run `npx flexae-setup`/.test(stderr), `flexae does not say what to run: ${stderr}`);
  } finally {
    bare.remove();
  }
  const project = new Project(node, manager);
  try {
    project.install(tarball);
    const told = project.run(["--input-type=module", "-e", 'import "flexible-autoencoder"']);
    expect(/run `npx flexae-setup`/.test(told.stderr), "import does not say what to run");
    const start = performance.now();
    project.exec("flexae-setup");
    const time = performance.now() - start;
    const consumer = path.join(project.folder, "consumer.mjs");
    copyFileSync(path.join(root, "test", "support", "consumer.mjs"), consumer);
    const { stdout, stderr } = project.run([consumer, path.join(sampleFolder, "valid")]);
    expect(stderr === "", `the training complains: ${stderr}`);
    const result = JSON.parse(stdout);
    expect(result.warnings.length === 0, result.warnings.join("\n"));
    expect(result.pictures.length === 42, `${result.pictures.length} pictures were drawn, not 42`);
    for (const name of result.pictures) {
      const png = readFileSync(path.join(result.runDir, name));
      expect(png.readUInt32BE(0) === 0x89504e47, `${name} is no PNG`);
    }
    project.exec("flexae-setup");
    return time;
  } finally {
    project.remove();
  }
}

function choice(values, given, option) {
  if (given === undefined) return values;
  const chosen = given.split(",");
  const wrong = chosen.find((value) => !values.includes(value));
  if (wrong === undefined) return chosen;
  throw new SetupError(
    `Expected some of ${values.join(", ")} for --${option} but received ${wrong}`,
  );
}

async function main() {
  let values;
  try {
    ({ values } = parseArgs({
      options: { node: { type: "string" }, manager: { type: "string" } },
    }));
  } catch (error) {
    throw new SetupError(error.message);
  }
  const nodes = choice(NODES, values.node, "node");
  const managers = choice(MANAGERS, values.manager, "manager");
  await runSteps([
    systemStep("build"),
    packagesStep(),
    libtorchStep(),
    addonStep(),
    typescriptStep(),
    sampleStep(),
  ]);

  const work = mkdtempSync(path.join(tmpdir(), "flexae-pack-"));
  let failed = 0;
  try {
    await runLogged("pack", "npm", ["pack", "--ignore-scripts", `--pack-destination=${work}`], {
      env: npmEnvironment(),
    });
    const tarball = path.join(work, readdirSync(work)[0]);
    for (const major of nodes) {
      const node = await fetched(`node-${process.platform}-${process.arch}`, major);
      for (const spec of managers) {
        const manager = await managerOf(spec);
        const version = spawnSync(path.join(node, "bin", "node"), [manager.install[0], "-v"], {
          env: environment(node),
          encoding: "utf8",
        });
        const label = `Node ${major}, ${spec}`;
        if (version.status !== 0) {
          process.stdout.write(`${label}: left out, it does not start under this Node\n`);
          continue;
        }
        try {
          const time = tryOut(node, manager, tarball);
          process.stdout.write(
            `${label} (${version.stdout.trim()}): ok, set up in ${duration(time)}\n`,
          );
        } catch (error) {
          if (!(error instanceof SetupError)) throw error;
          failed++;
          process.stdout.write(`${label}: FAILED, ${error.message}\n`);
        }
      }
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  if (failed > 0) throw new SetupError(`${failed} failed.`);
}

await runMain(main);
