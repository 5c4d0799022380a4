// Lays out the files of a bundle:
//
//   bin/flexae, bin/flexae-setup, bin/node   links to bin/launch
//   app/                                     the package, with compiled parts for each libtorch
//   lib/                                     Node, and the libraries that it and the addons load
//   lib/glibc/                               the C library, for a host whose own is older
//   LICENSES/                                of all of it

import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { npmCi } from "../setup/npm.mjs";
import { root } from "../setup/paths.mjs";
import { output, runLogged } from "../setup/run.mjs";
import { SetupError } from "../setup/steps.mjs";
import { closure, glibcNeeded, isGlibc } from "./elf.mjs";
import { copyLicences } from "./licences.mjs";
import { runtimePackages } from "./packages.mjs";
import { usage } from "./usage.mjs";

/** Where a host has the loader of its glibc. */
const LOADERS = { x64: "/lib64/ld-linux-x86-64.so.2", arm64: "/lib/ld-linux-aarch64.so.1" };

const PACKAGE = ["package.json", "README.md", "LICENSE", "CHANGELOG.md", "dist", "examples"];
const SCRIPTS = ["scripts/flexae.mjs", "scripts/quickstart.mjs", "scripts/setup"];
const PROGRAMS = ["flexae", "flexae-setup", "node"];

/** All libraries of the glibc on this system, its loader among them: file by name. */
function glibcFiles(loader) {
  const listing = output("ldd", [realpathSync(process.execPath)]) ?? "";
  const libc = /^\s*libc\.so\.6 => (\S+)/m.exec(listing)?.[1];
  if (!libc || !existsSync(loader)) {
    throw new SetupError("A bundle is made on a system whose C library is glibc.");
  }
  const folder = path.dirname(realpathSync(libc));
  const names = readdirSync(folder).filter(isGlibc);
  return new Map([
    ...names.map((name) => [name, realpathSync(path.join(folder, name))]),
    [path.basename(loader), realpathSync(loader)],
  ]);
}

/** Copies a compiled file without what only debuggers read. */
async function copyStripped(file, target) {
  mkdirSync(path.dirname(target), { recursive: true });
  copyFileSync(file, target);
  chmodSync(target, 0o755);
  await runLogged("bundle-strip", "strip", ["--strip-unneeded", target]);
}

function copyTree(names, target) {
  for (const name of names) {
    // Maps and declarations are for those who compile against it. Examples may have been tried
    // here.
    const unwanted = /(\.map|\.d\.ts|\.tsbuildinfo)$|^examples\/\w+\/node_modules$/;
    const filter = (file) => !unwanted.test(path.relative(root, file));
    cpSync(path.join(root, name), path.join(target, name), { recursive: true, filter });
  }
}

async function compileLauncher(target, loader, glibcMinor) {
  const [compiler, ...more] = (process.env.CC || "cc").split(/\s+/);
  const source = path.join(root, "scripts", "bundle", "launcher.c");
  const defines = [`-DFLEXAE_LOADER="${loader}"`, `-DFLEXAE_GLIBC_MINOR=${glibcMinor}`];
  const flags = ["-static", "-s", "-Os", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra"];
  const args = [...more, ...flags, ...defines, "-o", target, source];
  await runLogged("bundle-launcher", compiler, args);
}

/** opencv4nodejs's package and what it is compiled with, for their licences. */
async function opencvPackages(work) {
  const folder = path.join(work, "opencv-packages");
  const modules = path.join(folder, "node_modules");
  const files = ["package.json", "package-lock.json"];
  mkdirSync(folder, { recursive: true });
  for (const name of files) {
    copyFileSync(path.join(root, "opencv", name), path.join(folder, name));
  }
  await npmCi("bundle-opencv", folder);
  return {
    opencv4nodejs: path.join(modules, "@u4", "opencv4nodejs"),
    nan: path.join(modules, "nan"),
  };
}

/**
 * @param {string} folder empty
 * @param {{ addons: { version: string, libtorch: string, file: string, elsewhere: string[] }[],
 *   opencvFolder: string, work: string }} parts
 * @returns {Promise<string>} a line about it
 */
export async function layOut(folder, { addons, opencvFolder, work }) {
  const loader = LOADERS[process.arch];
  if (!loader) throw new SetupError(`There are no bundles for ${process.arch}.`);
  const inside = (...names) => path.join(folder, ...names);
  const program = realpathSync(process.execPath);
  const drawing = path.join(opencvFolder, "opencv4nodejs.node");

  const libraries = closure([program, drawing]);
  for (const { file, elsewhere } of addons) {
    for (const [name, found] of closure([file], elsewhere)) libraries.set(name, found);
  }

  const compiled = [inside("lib", "node")];
  await copyStripped(program, compiled[0]);
  for (const [name, file] of libraries) {
    compiled.push(inside("lib", name));
    await copyStripped(file, compiled.at(-1));
  }
  for (const { version, file } of addons) {
    compiled.push(inside("app", "build", `torch-${version}`, "flexae.node"));
    await copyStripped(file, compiled.at(-1));
  }
  const pictures = inside("app", "opencv", "build", path.basename(opencvFolder));
  compiled.push(path.join(pictures, path.basename(drawing)));
  await copyStripped(drawing, compiled.at(-1));
  copyFileSync(path.join(opencvFolder, "built.json"), path.join(pictures, "built.json"));
  const glibc = glibcFiles(loader);
  mkdirSync(inside("lib", "glibc"));
  for (const [name, file] of glibc) copyFileSync(file, inside("lib", "glibc", name));

  const packages = runtimePackages(root);
  copyTree([...PACKAGE, ...SCRIPTS, ...packages], inside("app"));
  copyFileSync(path.join(root, "scripts", "bundle", "program.cjs"), inside("lib", "program.cjs"));
  const glibcMinor = Math.max(...compiled.map(glibcNeeded));
  const { version } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8"));
  const facts = {
    version,
    node: process.versions.node,
    // Without a local version, as 2.13.0+cpu has.
    libtorch: addons.map((addon) => addon.libtorch.replace(/\+.*/, "")),
    glibc: `2.${glibcMinor}`,
  };
  writeFileSync(inside("app", "bundle.json"), `${JSON.stringify(facts, null, 2)}\n`);
  writeFileSync(inside("README.txt"), usage(addons.map((addon) => addon.version)));

  mkdirSync(inside("bin"));
  await compileLauncher(inside("bin", "launch"), loader, glibcMinor);
  for (const name of PROGRAMS) symlinkSync("launch", inside("bin", name));

  const lacking = copyLicences(inside("LICENSES"), {
    program,
    libraries: [...libraries.values(), ...glibc.values()],
    npm: {
      ...Object.fromEntries(
        packages.map((place) => [place.replace(/^.*node_modules\//, ""), path.join(root, place)]),
      ),
      "node-addon-api": path.join(root, "node_modules", "node-addon-api"),
      ...(await opencvPackages(work)),
    },
  });
  copyFileSync(path.join(root, "LICENSE"), inside("LICENSES", "flexible-autoencoder.txt"));
  const said = `${libraries.size} libraries besides glibc's; a host's serves from 2.${glibcMinor}`;
  return said + (lacking.length > 0 ? `; NO LICENCE FOUND for ${lacking.join(", ")}` : "");
}
