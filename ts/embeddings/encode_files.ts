/** Embeddings of a few files, as those of a table were computed. */
import { stat } from "node:fs/promises";
import { configError, dataError, translateError } from "../addon/errors.js";
import { awaitAddon } from "../addon/loader.js";
import type { Interpolation } from "../addon/types.js";
import { toLoadOptions } from "../config/data.js";
import { MAX_PIXELS } from "../config/parameters.js";
import { mountContainers } from "../containers/mount.js";
import { checksum } from "../files/checksum.js";
import { modelFile } from "../runs/folder.js";
import { readManifest } from "../runs/setting.js";
import { encoderFile } from "./embed.js";
import { normalizeRows } from "./normalize.js";
import type { EmbeddingTable } from "./table.js";

/** By what files are encoded. */
export interface EncodeOptions {
  /** A run, an `en.pt` or `ae.pt`; the one that the table names unless given. */
  model?: string | undefined;
  /** auto, cpu, cuda or cuda:N; `auto` unless given. */
  device?: string | undefined;
  /** Images of more pixels cannot be used; 268435456 unless given. */
  maxPixels?: number | undefined;
}

async function modelOf(table: EmbeddingTable, given: string | undefined): Promise<string> {
  const { origin, path } = table;
  if (origin?.map != null) {
    throw configError(
      `${path} is a map, in which images that are not in it have no place: name the table of embeddings it was made of`,
    );
  }
  const named = given === undefined ? origin?.model : await modelFile(given, "en.pt");
  if (named === undefined || named === null) {
    throw configError(
      `${path} does not say which model its embeddings are of: name it with --model`,
    );
  }
  if ((await stat(named).catch(() => null)) === null) {
    throw dataError(`${named}, the model of ${path}, is not there: name it with --model`);
  }
  const expected = origin?.modelSha256 ?? null;
  if (expected !== null && (await checksum(await encoderFile(named))) !== expected) {
    throw dataError(
      `${named} is another model than that of ${path}: embed the table's images with it first`,
    );
  }
  return named;
}

/**
 * Encodes files as the rows of a table were.
 *
 * @returns As many rows as files, of the table's `dims`.
 * @throws FlexaeError `FLEXAE_DATA` if a file cannot be used, or the table's model is not there or
 *   another; `FLEXAE_CONFIG` if the table does not name one, or is a map.
 */
export async function encodeFiles(
  table: EmbeddingTable,
  files: readonly string[],
  options: EncodeOptions = {},
): Promise<Float32Array> {
  const path = await modelOf(table, options.model);
  const { origin, dims } = table;
  await mountContainers(files);
  const precision = origin?.precision ?? "fp32";
  const loaded = await awaitAddon((addon) =>
    addon.loadModel(path, options.device ?? "auto", { trust: false, precision }),
  );
  try {
    const length = loaded.embeddingShape.reduce((a, b) => a * b, 1);
    if (length !== dims) {
      throw dataError(
        `${path} gives embeddings of ${length} numbers, and those of ${table.path} have ${dims}: name its model with --model`,
      );
    }
    const trained = readManifest(loaded.configJson)?.settings.interpolation;
    const load = toLoadOptions({
      interpolation: (trained as Interpolation | undefined) ?? "area",
      workers: 0,
      cache: "none",
      max_pixels: options.maxPixels ?? MAX_PIXELS,
    });
    const rows = new Float32Array(files.length * dims);
    const handle = loaded.embed([...files], load, { batchSize: 64, loss: false });
    try {
      for (let last = false; !last; ) {
        const stretch = await handle.next();
        const bad = stretch.bad[0];
        if (bad !== undefined) throw dataError(`${bad.file} cannot be used: ${bad.reason}`);
        for (const [i, index] of stretch.indices.entries()) {
          rows.set(stretch.embeddings.subarray(i * dims, (i + 1) * dims), index * dims);
        }
        last = stretch.last;
      }
    } finally {
      await handle.close();
    }
    if (origin?.normalize === "l2") normalizeRows(rows, dims);
    return rows;
  } catch (error) {
    throw translateError(error);
  } finally {
    loaded.dispose();
  }
}
