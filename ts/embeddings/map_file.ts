/** Fitted maps as files: safetensors, whose metadata say what they are. */
import { resolve } from "node:path";
import { dataError, FlexaeError, translateError } from "../addon/errors.js";
import { awaitAddon } from "../addon/loader.js";
import type { TensorEntry, UmapRequest } from "../addon/types.js";
import { makeFolders } from "../files/folders.js";
import { VERSION } from "../version.js";
import type { FittedMap } from "./map.js";
import type { TableOrigin } from "./table.js";

/** Under which a file's metadata say what it holds, as JSON. */
const KEY = "flexible-autoencoder-map";

interface Header {
  format: 1;
  version: string;
  method: "umap" | "pca";
  dims: number;
  mapDims: number;
  sha256: string;
  origin: TableOrigin | null;
  options: UmapRequest | null;
}

/** Writes what places further embeddings in a map. */
export async function saveMap(path: string, fitted: FittedMap): Promise<void> {
  const { method, dims, mapDims, sha256, origin } = fitted;
  const header: Header = {
    format: 1,
    version: VERSION,
    method,
    dims,
    mapDims,
    sha256,
    origin,
    options: fitted.method === "umap" ? fitted.options : null,
  };
  const rows = (values: TensorEntry["values"], columns: number): TensorEntry => ({
    values,
    shape: [values.length / columns, columns],
  });
  const tensors: Record<string, TensorEntry> =
    fitted.method === "umap"
      ? { points: rows(fitted.points, dims), places: rows(fitted.places, mapDims) }
      : { mean: rows(fitted.pca.mean, dims), components: rows(fitted.pca.components, dims) };
  try {
    await makeFolders(resolve(path, ".."));
    await awaitAddon((addon) =>
      addon.writeTensors(path, tensors, { [KEY]: JSON.stringify(header) }),
    );
  } catch (error) {
    throw translateError(error);
  }
}

/**
 * Reads what {@link saveMap} wrote.
 *
 * @throws FlexaeError `FLEXAE_DATA` if it is something else, `FLEXAE_MODEL` if it is damaged,
 *   `FLEXAE_IO`.
 */
export async function loadMap(path: string): Promise<FittedMap> {
  try {
    const { tensors, metadata } = await awaitAddon((addon) =>
      addon.readTensors(path, { requireChecksum: true }),
    );
    const text = metadata[KEY];
    if (text === undefined) {
      throw dataError(`${path} holds no map: expected a file that flexae map --fit wrote`);
    }
    const header = JSON.parse(text) as Header;
    const { method, dims, mapDims, sha256, origin, options } = header;
    const values = (name: string) => tensors[name]?.values;
    const common = { dims, mapDims, sha256, origin };
    const [points, places, mean, components] = [
      values("points"),
      values("places"),
      values("mean"),
      values("components"),
    ];
    if (method === "umap" && points instanceof Float32Array && places instanceof Float32Array) {
      return { method, ...common, options: options as UmapRequest, points, places };
    }
    if (method === "pca" && mean instanceof Float64Array && components instanceof Float64Array) {
      return { method, ...common, pca: { mean, components } };
    }
    throw dataError(`${path} holds a map of another version of this program: make it again`);
  } catch (error) {
    throw error instanceof FlexaeError ? error : translateError(error);
  }
}
