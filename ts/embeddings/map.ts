/** Maps of embeddings: few dimensions in which neighbours stay neighbours. */
import { createHash } from "node:crypto";
import { configError, dataError, translateError } from "../addon/errors.js";
import { awaitAddon, callAddon } from "../addon/loader.js";
import type { Metric, NeighbourSearch, PcaModel, UmapRequest } from "../addon/types.js";
import { checkDevice } from "../runs/plan.js";
import { VERSION } from "../version.js";
import { finishJob } from "./job.js";
import type { EmbeddingTable } from "./table.js";
import { isSameSpace, type MapOrigin, type TableOrigin } from "./table.js";

/** How a map is made. */
export interface MapOptions {
  /** `umap` unless given; `pca`: principal components. */
  method?: "umap" | "pca" | undefined;
  /** Dimensions of the map; 2 unless given. */
  dims?: number | undefined;
  /** Of UMAP: neighbours of a point, itself among them; 15 unless given. More show larger forms. */
  nNeighbors?: number | undefined;
  /** Of UMAP: how close points may lie, 0 to 1; 0.1 unless given. 0 suits clustering. */
  minDist?: number | undefined;
  /** Of UMAP: how far embeddings are apart; `euclidean` unless given. */
  metric?: Metric | undefined;
  /** Of UMAP: how neighbours are found; `auto` unless given. */
  search?: NeighbourSearch | undefined;
  /** Of UMAP: passes over the points; 500 for up to 10,000, else 200, unless given. */
  epochs?: number | undefined;
  /** 0 unless given. The map is the same for a seed, whatever the number of threads. */
  seed?: number | undefined;
  /**
   * Where neighbours, if exactly, and components are computed: `cpu`, `cuda`, `cuda:N`, or `auto` for a GPU if there is
   * one; `cpu` unless given. UMAP gives the same map.
   */
  device?: string | undefined;
  /** Ends it soon; it then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Called now and then with the share that is done, from 0 to 1. */
  onProgress?: ((share: number) => void) | undefined;
}

/** What a map was fitted to, which places further embeddings in it. */
export type FittedMap = {
  /** Numbers an embedding has that is mapped. */
  dims: number;
  /** Dimensions of the map. */
  mapDims: number;
  /** Of what is kept here, in hexadecimal digits. */
  sha256: string;
  /** Where the embeddings came from that were mapped; null where their table did not say. */
  origin: TableOrigin | null;
} & (
  | {
      /** By uniform manifold approximation and projection. */
      method: "umap";
      /** How it was made. */
      options: UmapRequest;
      /** N × dims, the embeddings. */
      points: Float32Array;
      /** N × mapDims, their places. */
      places: Float32Array;
    }
  | {
      /** By principal components. */
      method: "pca";
      /** The components. */
      pca: PcaModel;
    }
);

/** A map of a table's rows. */
export interface EmbeddingMap {
  /** The same rows, with places in the map for embeddings. */
  table: EmbeddingTable;
  /** What places further embeddings in the map; see {@link placeInMap}. */
  fitted: FittedMap;
  /** Of principal components: along each, as a share of all variance; null of UMAP. */
  explainedVarianceRatio: number[] | null;
}

function bytesOf(values: Float32Array | Float64Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

function digest(options: unknown, ...arrays: (Float32Array | Float64Array)[]): string {
  const hash = createHash("sha256").update(JSON.stringify(options));
  for (const array of arrays) hash.update(bytesOf(array));
  return hash.digest("hex");
}

/** The rows of a table with their places in a map. */
function mappedTable(
  table: EmbeddingTable,
  fitted: FittedMap,
  places: Float32Array,
): EmbeddingTable {
  const map: MapOrigin = {
    method: fitted.method,
    dims: fitted.dims,
    sha256: fitted.sha256,
    options: fitted.method === "umap" ? { ...fitted.options } : null,
  };
  const { origin } = table;
  const { mapDims } = fitted;
  return {
    ...table,
    dims: mapDims,
    embeddings: places,
    origin: {
      model: origin?.model ?? null,
      modelSha256: origin?.modelSha256 ?? null,
      precision: origin?.precision ?? null,
      normalize: origin?.normalize ?? null,
      settings: origin?.settings ?? null,
      version: VERSION,
      dims: mapDims,
      loss: table.losses !== null,
      sha256: table.sha256 !== null,
      file: table.widths !== null && table.heights !== null && table.bytes !== null,
      map,
    },
  };
}

function checkInteger(value: number, least: number, name: string): void {
  if (!Number.isInteger(value) || value < least) {
    throw configError(`Expected an integer of at least ${least} for ${name} but received ${value}`);
  }
}

async function mapByUmap(table: EmbeddingTable, given: MapOptions): Promise<EmbeddingMap> {
  const { dims, embeddings, origin } = table;
  const rows = embeddings.length / dims;
  const options: UmapRequest = {
    dims: given.dims ?? 2,
    nNeighbors: given.nNeighbors ?? 15,
    minDist: given.minDist ?? 0.1,
    epochs: given.epochs ?? 0,
    metric: given.metric ?? "euclidean",
    search: given.search ?? "auto",
    seed: given.seed ?? 0,
  };
  checkInteger(options.nNeighbors, 2, "nNeighbors");
  if (options.nNeighbors >= rows) {
    throw configError(
      `${rows} embeddings are too few for ${options.nNeighbors} neighbours: give more, or ask for fewer neighbours`,
    );
  }
  if (!(options.minDist >= 0 && options.minDist <= 1)) {
    throw configError(`Expected 0 to 1 for minDist but received ${options.minDist}`);
  }
  const places = await finishJob(
    callAddon((addon) => addon.fitUmap(embeddings, dims, options, given.device)),
    given.signal,
    given.onProgress,
  );
  const fitted: FittedMap = {
    method: "umap",
    dims,
    mapDims: options.dims,
    sha256: digest(options, embeddings, places),
    origin,
    options,
    points: embeddings,
    places,
  };
  return { table: mappedTable(table, fitted, places), fitted, explainedVarianceRatio: null };
}

async function mapByPca(
  table: EmbeddingTable,
  mapDims: number,
  device: string | undefined,
): Promise<EmbeddingMap> {
  const { dims, embeddings, origin } = table;
  try {
    const answer = await awaitAddon((addon) => addon.fitPca(embeddings, dims, mapDims, device));
    const { mean, components, map, explainedVarianceRatio } = answer;
    const fitted: FittedMap = {
      method: "pca",
      dims,
      mapDims,
      sha256: digest("pca", mean, components),
      origin,
      pca: { mean, components },
    };
    return {
      table: mappedTable(table, fitted, map),
      fitted,
      explainedVarianceRatio: Array.from(explainedVarianceRatio),
    };
  } catch (error) {
    throw translateError(error);
  }
}

/**
 * Maps the rows of a table to few dimensions. The map is a table again, which can be clustered,
 * searched and written.
 *
 * ```js
 * const table = await readTable("digits.parquet");
 * const { table: places } = await map(table, { dims: 10, nNeighbors: 20, minDist: 0 });
 * const { labels } = await cluster(places, { clusters: 10, method: "gmm" });
 * ```
 *
 * @throws FlexaeError `FLEXAE_CONFIG` for options that cannot be, such as more neighbours than rows.
 *   Rejects with the reason of an aborted signal.
 */
export async function map(table: EmbeddingTable, options: MapOptions = {}): Promise<EmbeddingMap> {
  const { method = "umap", dims = 2 } = options;
  checkInteger(dims, 1, "dims");
  if (options.device !== undefined) checkDevice(options.device);
  options.signal?.throwIfAborted();
  if (method === "pca") return await mapByPca(table, dims, options.device);
  if (method === "umap") return await mapByUmap(table, options);
  throw configError(`Expected umap, pca for method but received ${String(method)}`);
}

/**
 * Places the rows of another table in a map, whose own points stay where they are.
 *
 * @throws FlexaeError `FLEXAE_DATA` if the table is of another model. Rejects with the reason of an
 *   aborted signal.
 */
export async function placeInMap(
  fitted: FittedMap,
  table: EmbeddingTable,
  { device, signal, onProgress }: Pick<MapOptions, "device" | "signal" | "onProgress"> = {},
): Promise<EmbeddingTable> {
  if (device !== undefined) checkDevice(device);
  const { embeddings, dims } = table;
  if (dims !== fitted.dims || !isSameSpace(fitted.origin, table.origin)) {
    throw dataError(
      `${table.path} is of another model than the map: embed its images with the same model`,
    );
  }
  if (fitted.method === "pca") {
    const { pca } = fitted;
    try {
      const places = await awaitAddon((addon) => addon.transformPca(embeddings, dims, pca, device));
      return mappedTable(table, fitted, places);
    } catch (error) {
      throw translateError(error);
    }
  }
  const { points, places: known, options } = fitted;
  const places = await finishJob(
    callAddon((addon) => addon.transformUmap(embeddings, dims, points, known, options, device)),
    signal,
    onProgress,
  );
  return mappedTable(table, fitted, places);
}

/**
 * How far neighbours in a map are neighbours among the embeddings: 1 if all are (Venna and Kaski,
 * 2001). Of more than 5,000 rows an estimate by 2,000 of them.
 */
export async function trustworthiness(
  table: EmbeddingTable,
  places: EmbeddingTable,
  { nNeighbors = 15, signal }: { nNeighbors?: number; signal?: AbortSignal | undefined } = {},
): Promise<number> {
  const options = { nNeighbors, metric: "euclidean" as const, seed: 0 };
  const { embeddings, dims } = table;
  return await finishJob(
    callAddon((addon) =>
      addon.trustworthiness(embeddings, dims, places.embeddings, places.dims, options),
    ),
    signal,
  );
}
