/** What `writeTensorBoard` of `ts/index.ts` does. */
import { stat } from "node:fs/promises";
import { extname, join, resolve } from "node:path";
import { MAX_PIXELS } from "../config/parameters.js";
import { readTable } from "../embeddings/read_table.js";
import { findRun, SETTING_FILE } from "../runs/folder.js";
import { writePastRun } from "./past_run.js";
import { type Projection, writeProjection } from "./projector.js";
import { eventFolder } from "./tensorboard.js";

/** How a run, or a table, is written for TensorBoard. */
export interface TensorBoardOptions {
  /**
   * Where to: of a run the folder that gets one with its name, `tensorboard` in the run's own
   * unless given; of a table the folder itself, `NAME.tensorboard` beside it unless given.
   */
  out?: string | undefined;
  /** `false`: without thumbnails. */
  thumbnails?: boolean | undefined;
  /** Where paths of images begin that are not absolute; the current folder unless given. */
  imageDir?: string | undefined;
  /** Images of more pixels have no thumbnail; 268435456 unless given. */
  maxPixels?: number | undefined;
  /** Ends it soon; it then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
}

/** What was written for TensorBoard. */
export interface TensorBoardFiles {
  /** Absolute path of the folder. */
  out: string;
  /** Epochs of the run; 0 of a table. */
  epochs: number;
  /** Epochs of which there are reconstructions to be seen. */
  pictures: number;
  /** Embeddings in the projector; 0 of a run without a table of them. */
  rows: number;
  /** Pixels a side of a thumbnail in the projector; 0 without thumbnails. */
  thumbnailSize: number;
  /** Images that have no thumbnail, since they cannot be read. */
  unreadable: number;
  /** What is missing, and why. */
  problems: string[];
}

const NOTHING: Projection = { rows: 0, side: 0, unreadable: 0, problems: [] };

const exists = async (path: string) => (await stat(path).catch(() => null)) !== null;

/** `a/b.tensorboard` beside the table `a/b.parquet`. */
function folderBeside(table: string): string {
  const path = resolve(table);
  return `${path.slice(0, path.length - extname(path).length)}.tensorboard`;
}

export async function writeTensorBoard(
  name: string,
  { out, maxPixels = MAX_PIXELS, ...rest }: TensorBoardOptions = {},
): Promise<TensorBoardFiles> {
  const options = { ...rest, maxPixels };
  const isRun = name === "last" || (await exists(join(name, SETTING_FILE)));
  if (!isRun) {
    const table = await readTable(name);
    const folder = out === undefined ? folderBeside(name) : resolve(out);
    const projection = await writeProjection(folder, table, options);
    const { rows, side: thumbnailSize, unreadable, problems } = projection;
    return { out: folder, epochs: 0, pictures: 0, rows, thumbnailSize, unreadable, problems };
  }
  const run = await findRun(name, SETTING_FILE);
  const folder = eventFolder(out ?? null, run);
  const past = await writePastRun(run, folder, options.signal);
  const table = join(run, "embeddings.parquet");
  const projection = (await exists(table))
    ? await writeProjection(folder, await readTable(table), options)
    : NOTHING;
  const { rows, side: thumbnailSize, unreadable } = projection;
  const problems = [...past.problems, ...projection.problems];
  const { epochs, pictures } = past;
  return { out: folder, epochs, pictures, rows, thumbnailSize, unreadable, problems };
}
