#!/usr/bin/env node
// Writes the bundle: an archive with Node, the addon for several libtorchs, OpenCV and the C
// library, for machines on which nobody may install packages. A libtorch is not in it.

import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { bundledAddon, librariesOf, libtorchFor, VERSIONS } from "./bundle/addons.mjs";
import { pack } from "./bundle/archive.mjs";
import { layOut } from "./bundle/layout.mjs";
import { resolveOpencv4nodejs } from "./setup/opencv.mjs";
import { packagesStep } from "./setup/packages.mjs";
import { isClone, root } from "./setup/paths.mjs";
import { runMain, runSteps, SetupError } from "./setup/steps.mjs";
import { systemStep } from "./setup/system.mjs";
import { typescriptStep } from "./setup/typescript.mjs";

const NAME = `flexible-autoencoder-linux-${process.arch}`;
const work = path.join(root, "build-bundle");
/** What an archive may have, in bytes. */
const LIMIT = 60e6;

const USAGE = `Usage: npm run bundle -- [--torch VERSION,…] [--libtorch FOLDER]… [--out FILE]

Writes ${NAME}.tar.xz: what trains and draws where no package may be installed,
with a libtorch that is there. README.md says how to use it.

  --torch VERSION,…  libtorchs that it is to work with (${[...VERSIONS.keys()].join(",")})
  --libtorch FOLDER  compile against this libtorch, or Python torch folder, where its version is
                     asked for; others are fetched as by set-up
  --out FILE         the archive (${NAME}.tar.xz)
`;

function options() {
  let values;
  try {
    ({ values } = parseArgs({
      options: {
        torch: { type: "string" },
        libtorch: { type: "string", multiple: true, default: [] },
        out: { type: "string", default: `${NAME}.tar.xz` },
        help: { type: "boolean", short: "h", default: false },
      },
    }));
  } catch (error) {
    throw new SetupError(`${error.message}\n\n${USAGE}`);
  }
  const versions = values.torch?.split(",") ?? [...VERSIONS.keys()];
  const wrong = versions.find((version) => !VERSIONS.has(version));
  if (wrong !== undefined) {
    const known = [...VERSIONS.keys()].join(", ");
    throw new SetupError(`Expected some of ${known} for --torch but received ${wrong}`);
  }
  const out = path.resolve(values.out);
  if (!existsSync(path.dirname(out))) throw new SetupError(`There is no folder for ${out}.`);
  return { versions, folders: values.libtorch, out, help: values.help };
}

/** The steps that make an addon; `addons` gets it. */
function addonSteps(version, folders, addons) {
  let libtorch;
  return [
    {
      name: `libtorch ${version}`,
      hint: "up to 550 MB the first time",
      async run() {
        libtorch = await libtorchFor(version, folders);
        return `${libtorch.version} at ${libtorch.folder}`;
      },
    },
    {
      name: `Addon for libtorch ${version}`,
      hint: "compiled, a few minutes the first time",
      async run() {
        const { file, how } = await bundledAddon(libtorch);
        const elsewhere = librariesOf(libtorch.folder);
        addons.push({ version, libtorch: libtorch.version, file, elsewhere });
        return `${path.relative(root, file)}, ${how}`;
      },
    },
  ];
}

async function main() {
  if (process.platform !== "linux") throw new SetupError("Bundles are made on Linux, for Linux.");
  const { versions, folders, out, help } = options();
  if (help) return void process.stdout.write(USAGE);
  if (!isClone) throw new SetupError("A bundle is made in a clone of the repository.");

  const addons = [];
  const opencvFolder = path.join(work, "opencv", `abi-${process.versions.modules}`);
  const folder = path.join(work, NAME);
  await runSteps([
    systemStep("build", "bundle"),
    packagesStep(),
    typescriptStep(),
    ...versions.flatMap((version) => addonSteps(version, folders, addons)),
    {
      name: "opencv4nodejs",
      hint: "compiled, half a minute the first time",
      run: async () =>
        (await resolveOpencv4nodejs({ folder: opencvFolder, encoder: "libpng" })).what,
    },
    {
      name: "Files",
      async run() {
        rmSync(folder, { recursive: true, force: true });
        mkdirSync(folder, { recursive: true });
        return layOut(folder, { addons, opencvFolder, work });
      },
    },
    {
      name: "Archive",
      hint: "a minute or two",
      async run() {
        await pack(folder, out);
        const { size } = statSync(out);
        const said = `${path.relative(process.cwd(), out)}, ${(size / 1e6).toFixed(1)} MB`;
        if (size > LIMIT) throw new SetupError(`${said}: more than ${LIMIT / 1e6} MB.`);
        return `${said}, ${readdirSync(path.join(folder, "lib")).length} files in lib/`;
      },
    },
  ]);
}

await runMain(main);
