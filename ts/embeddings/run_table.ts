/** The table that a command is given: a table, or a run, whose images are embedded first. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { dataError, FlexaeError } from "../addon/errors.js";
import { checksum } from "../files/checksum.js";
import { findRun } from "../runs/folder.js";
import { recordedFolders } from "../runs/setting.js";
import { type EmbedOptions, embed, encoderFile } from "./embed.js";
import { readTable } from "./read_table.js";
import type { EmbeddingTable } from "./table.js";

/** Which images of a run are embedded, and how, where they are not yet. */
export interface RunTableOptions
  extends Pick<
    EmbedOptions,
    | "device"
    | "precision"
    | "batchSize"
    | "workers"
    | "maxPixels"
    | "trust"
    | "signal"
    | "onProgress"
  > {
  /** The training images unless given, or those that validated it. */
  set?: "train" | "valid" | undefined;
  /** With the loss of each image's reconstruction. */
  loss?: boolean | undefined;
}

/** Where a run keeps the embeddings of its images. */
const RUN_TABLES = { train: "embeddings.parquet", valid: "embeddings.valid.parquet" };

/** Whether a run is named where a table is meant. */
export async function isRun(name: string): Promise<boolean> {
  if (name === "last") return true;
  return (await stat(join(name, "ae.pt")).catch(() => null)) !== null;
}

/**
 * The embeddings of a run's images, from `embeddings.parquet` or `embeddings.valid.parquet` in its
 * folder, which is written if it is not there, of another model, or without losses that are asked
 * for.
 *
 * @param run - Its folder.
 * @returns The table, or why the images are missing.
 * @throws FlexaeError as `readTable` and `embed` do.
 */
export async function runTable(
  run: string,
  options: RunTableOptions = {},
): Promise<EmbeddingTable | { missing: string }> {
  const { set = "train", ...rest } = options;
  const path = join(run, RUN_TABLES[set]);
  if ((await stat(path).catch(() => null)) !== null) {
    const table = await readTable(path);
    const isOfModel =
      table.origin?.modelSha256 === (await checksum(await encoderFile(join(run, "ae.pt"))));
    if (isOfModel && (options.loss !== true || table.losses !== null)) return table;
  }
  const folders = recordedFolders(run);
  const sets = set === "train" ? folders.train_dir : folders.valid_dir;
  if (sets === undefined) {
    const which = set === "train" ? "it was trained on" : "validated it";
    return { missing: `${run} does not say which images ${which}` };
  }
  try {
    await embed(run, { sets, out: path, ...rest });
  } catch (error) {
    if (!(error instanceof FlexaeError) || error.code !== "FLEXAE_DATA") throw error;
    return { missing: error.message };
  }
  return await readTable(path);
}

/**
 * Reads a table. Of a run, that of its images; see {@link runTable}.
 *
 * @throws FlexaeError as `readTable` and `embed` do.
 */
export async function tableOf(
  name: string,
  options: RunTableOptions = {},
): Promise<EmbeddingTable> {
  if (!(await isRun(name))) return await readTable(name);
  const table = await runTable(await findRun(name), options);
  if (!("missing" in table)) return table;
  throw dataError(
    `${table.missing}: embed some with \`flexae embed ${name} SET -o OUT\`, and name that table`,
  );
}
