/** The table that a command is given: a table, or a run, whose images are embedded first. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { dataError } from "../addon/errors.js";
import { findRun } from "../runs/folder.js";
import { recordedFolders } from "../runs/setting.js";
import { checksum, embed } from "./embed.js";
import { readTable } from "./read_table.js";
import type { EmbeddingTable } from "./table.js";

/** How the images of a run are embedded. */
export interface RunTableOptions {
  signal?: AbortSignal | undefined;
  onProgress?: ((done: number, total: number) => void) | undefined;
}

/** Where a run keeps the embeddings of its training images. */
export const RUN_TABLE = "embeddings.parquet";

async function isRun(name: string): Promise<boolean> {
  if (name === "last") return true;
  return (await stat(join(name, "ae.pt")).catch(() => null)) !== null;
}

/**
 * Reads a table. Of a run, the embeddings of its training images are taken from `embeddings.parquet` in its
 * folder, which is written if it is not there or of another model.
 *
 * @throws FlexaeError as `readTable` and `embed` do.
 */
export async function tableOf(
  name: string,
  options: RunTableOptions = {},
): Promise<EmbeddingTable> {
  if (!(await isRun(name))) return await readTable(name);
  const run = await findRun(name);
  const path = join(run, RUN_TABLE);
  if ((await stat(path).catch(() => null)) !== null) {
    const table = await readTable(path);
    if (table.origin?.modelSha256 === (await checksum(join(run, "en.pt")))) return table;
  }
  const { train_dir: sets } = recordedFolders(run);
  if (sets === undefined) {
    throw dataError(
      `${name} does not say which images it was trained on: embed some with \`flexae embed ${name} SET -o OUT\`, and name that table`,
    );
  }
  await embed(run, { sets, out: path, ...options });
  return await readTable(path);
}
