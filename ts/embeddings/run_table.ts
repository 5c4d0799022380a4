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
  /** The training images unless given, or those that validated it. */
  set?: "train" | "valid" | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: ((done: number, total: number) => void) | undefined;
}

/** Where a run keeps the embeddings of its images. */
const RUN_TABLES = { train: "embeddings.parquet", valid: "embeddings.valid.parquet" };

/** Whether a run is named where a table is meant. */
export async function isRun(name: string): Promise<boolean> {
  if (name === "last") return true;
  return (await stat(join(name, "ae.pt")).catch(() => null)) !== null;
}

/**
 * Reads a table. Of a run, the embeddings of its images are taken from `embeddings.parquet` or
 * `embeddings.valid.parquet` in its folder, which is written if it is not there or of another model.
 *
 * @throws FlexaeError as `readTable` and `embed` do.
 */
export async function tableOf(
  name: string,
  options: RunTableOptions = {},
): Promise<EmbeddingTable> {
  if (!(await isRun(name))) return await readTable(name);
  const run = await findRun(name);
  const { set = "train", ...rest } = options;
  const path = join(run, RUN_TABLES[set]);
  if ((await stat(path).catch(() => null)) !== null) {
    const table = await readTable(path);
    if (table.origin?.modelSha256 === (await checksum(join(run, "en.pt")))) return table;
  }
  const folders = recordedFolders(run);
  const sets = set === "train" ? folders.train_dir : folders.valid_dir;
  if (sets === undefined) {
    throw dataError(
      `${name} does not say which images ${set === "train" ? "it was trained on" : "validated it"}: embed some with \`flexae embed ${name} SET -o OUT\`, and name that table`,
    );
  }
  await embed(run, { sets, out: path, ...rest });
  return await readTable(path);
}
