/** The files that a table's name stands for. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { dataError } from "../addon/errors.js";
import { exists, expandPattern, isPattern } from "../files/patterns.js";

/** Whether a table's name is a pattern of files, and none that is called so. */
export async function isTablePattern(name: string): Promise<boolean> {
  return (await isPattern(name)) && !(await exists(name));
}

/**
 * The files of a table, in their order: of a folder, the Parquet files in it; of a pattern, such as
 * `parts/*.parquet`, those that match it. A file that is called like a pattern is that file.
 *
 * @throws FlexaeError `FLEXAE_DATA` if there are none. Rejects as `stat` does for what is not there.
 */
export async function filesOf(name: string): Promise<string[]> {
  if (await isTablePattern(name)) {
    const files = await expandPattern(name, name);
    if (files.length > 0) return files;
    throw dataError(`${name} matches no file: see with \`ls\` what is there, and name that`);
  }
  if (!(await stat(name)).isDirectory()) return [name];
  const names = (await readdir(name)).filter((entry) => /^[^.].*\.parquet$/i.test(entry)).sort();
  if (names.length === 0) throw dataError(`${name} holds no Parquet files`);
  return names.map((entry) => join(name, entry));
}
