// Python wheels: fetched by pip, unpacked by us, every file checked against the wheel's own RECORD.

import { readdir } from "node:fs/promises";
import path from "node:path";
import { runLogged } from "./run.mjs";
import { SetupError } from "./steps.mjs";
import { Zip } from "./zip.mjs";

/**
 * Downloads requirements with pip into `folder`.
 * @param {string[]} requirements
 * @param {{ dependencies?: boolean, env?: NodeJS.ProcessEnv }} [options] also what they depend on; pip's settings
 * @returns {Promise<string[]>} the wheels' paths
 */
export async function pipDownload(
  requirements,
  folder,
  { dependencies = false, env = process.env } = {},
) {
  const args = [
    "-m",
    "pip",
    "download",
    "--disable-pip-version-check",
    "--only-binary=:all:",
    "-d",
    folder,
  ];
  if (!dependencies) args.push("--no-deps");
  await runLogged("pip-download", "python3", [...args, ...requirements], { env });
  const names = (await readdir(folder)).filter((name) => name.endsWith(".whl"));
  return names.map((name) => path.join(folder, name));
}

/** An open wheel with its metadata read. */
export async function openWheel(file) {
  const zip = await Zip.open(file);
  try {
    const info = zip.entries.find((entry) => /^[^/]+\.dist-info\/RECORD$/.test(entry.name))?.name;
    if (!info) throw new SetupError(`${path.basename(file)} is no wheel: it has no RECORD.`);
    const metadata = (await zip.text(info.replace(/RECORD$/, "METADATA"))) ?? "";
    const hashes = new Map();
    for (const line of (await zip.text(info)).split("\n")) {
      const match = /^"?(.+?)"?,sha256=([\w-]+),/.exec(line);
      if (match) hashes.set(match[1], match[2]);
    }
    return {
      zip,
      hashes,
      version: /^Version: (.+)$/m.exec(metadata)?.[1]?.trim() ?? "",
      /** Requirements of a plain install on this system, without their markers. */
      requirements: [...metadata.matchAll(/^Requires-Dist: (.+)$/gm)]
        .map(([, line]) => line.split(";").map((part) => part.trim()))
        .filter(([, marker]) => !/\bextra\s*==/.test(marker ?? ""))
        .map(([requirement]) => requirement),
    };
  } catch (error) {
    await zip.close();
    throw error;
  }
}
