/** The folder of what TensorBoard reads of a run: which files this program writes there. */
import { readdir, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";

/** In the run's own. */
export const TENSORBOARD_FOLDER = "tensorboard";

/** Below it, beside what concerns all of the run. Steps are epochs, but of `batches`. */
const PARTS = ["train", "validation", "batches"];

/** The ending by which event files of this program are told from others in the same folder. */
export const EVENTS_ENDING = ".flexae";

/** That of those among them that were made of what a run left, and not by its training. */
export const PAST_ENDING = `.past${EVENTS_ENDING}`;

/** The file that tells TensorBoard's projector of a table. */
export const PROJECTOR_FILE = "projector_config.pbtxt";

const PROJECTION = [PROJECTOR_FILE, "tensors.tsv", "metadata.tsv", "sprite.png", "sprite.jpg"];

/** Event files of this program in the folder of a run, named from there. */
export async function ownEventFiles(folder: string): Promise<string[]> {
  const found: string[] = [];
  for (const part of [".", ...PARTS]) {
    const names = await readdir(join(folder, part)).catch(() => []);
    const own = names.filter(
      (name) => name.startsWith("events.out.tfevents.") && name.endsWith(EVENTS_ENDING),
    );
    found.push(...own.map((name) => join(part, name)));
  }
  return found;
}

/** Removes files that are named from the folder, and folders that are then empty. */
export async function removeEventFiles(folder: string, names: readonly string[]): Promise<void> {
  for (const name of names) await rm(join(folder, name), { force: true });
  for (const part of [...PARTS, "."]) await rmdir(join(folder, part)).catch(() => {});
}

/** Removes all that this program has written there, and nothing else. */
export async function clearEventFolder(folder: string): Promise<void> {
  await removeEventFiles(folder, [...(await ownEventFiles(folder)), ...PROJECTION]);
}
