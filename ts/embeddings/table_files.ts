/** The files that a table's name stands for. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { glob, isDynamicPattern } from "tinyglobby";
import { dataError } from "../addon/errors.js";

/** Whether a table's name is a pattern of files, and none that is called so. */
export async function isPattern(name: string): Promise<boolean> {
  return isDynamicPattern(name) && (await stat(name).catch(() => null)) === null;
}

/**
 * The files of a table, in their order: of a folder, the Parquet files in it; of a pattern, such as
 * `parts/*.parquet`, those that match it. A file that is called like a pattern is that file.
 *
 * @throws FlexaeError `FLEXAE_DATA` if there are none. Rejects as `stat` does for what is not there.
 */
export async function filesOf(name: string): Promise<string[]> {
  if (await isPattern(name)) {
    const files = (await glob(name, { expandDirectories: false })).sort();
    if (files.length > 0) return files;
    throw dataError(`${name} matches no file: see with \`ls\` what is there, and name that`);
  }
  if (!(await stat(name)).isDirectory()) return [name];
  const names = (await readdir(name)).filter((entry) => /^[^.].*\.parquet$/i.test(entry)).sort();
  if (names.length === 0) throw dataError(`${name} holds no Parquet files`);
  return names.map((entry) => join(name, entry));
}
