/** `.keras` files: a zip file of a description in JSON and weights in HDF5. */
import { isMapping } from "../config/values.js";
import type { Archive } from "./archive.js";
import { type ForeignModel, modelError } from "./foreign.js";
import type { OpenHdf5 } from "./hdf5.js";
import { type Chain, chainOf, KerasConfigError } from "./keras_config.js";
import { numberedWeights } from "./weights.js";

const CONFIG = "config.json";
const METADATA = "metadata.json";
const WEIGHTS = "model.weights.h5";

/** Where the groups of layers lie, as Keras 3 and as Keras 2.12 to 2.15 say it. */
export const LAYER_ROOTS = ["layers", "_layer_checkpoint_dependencies"] as const;

function parsed(path: string, name: string, bytes: Uint8Array | undefined): unknown {
  if (bytes === undefined) throw modelError(path, `is no Keras model: it holds no ${name}`);
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    throw modelError(path, `is damaged: its ${name} is no JSON`, error);
  }
}

/** What a description says, with the file named if it says what cannot be. */
export function chainIn(path: string, config: unknown): Chain {
  try {
    return chainOf(config);
  } catch (error) {
    if (!(error instanceof KerasConfigError)) throw error;
    throw modelError(path, `cannot be taken: ${error.message}`);
  }
}

/** Reads a `.keras` file. */
export async function readKerasArchive(
  path: string,
  archive: Archive,
  openHdf5: OpenHdf5,
): Promise<ForeignModel> {
  const chain = chainIn(path, parsed(path, CONFIG, await archive.read(CONFIG)));
  const metadata = parsed(path, METADATA, await archive.read(METADATA));
  const version = isMapping(metadata) ? String(metadata.keras_version) : "";
  if (!archive.names.includes(WEIGHTS)) throw modelError(path, `holds no ${WEIGHTS}`);
  const file = await openHdf5({
    path,
    place: archive.place(WEIGHTS),
    read: async () => (await archive.read(WEIGHTS)) as Uint8Array,
  });
  const root = LAYER_ROOTS.find((name) => file.names(name).length > 0) ?? LAYER_ROOTS[0];
  const groups = new Map(
    chain.layers.map((layer) => [
      layer as unknown,
      layer.archivePath
        .split("/")
        // Each model within another has such a group of its own.
        .map((part) => (part === LAYER_ROOTS[0] ? root : part))
        .join("/"),
    ]),
  );
  return {
    format: `Keras ${version.slice(0, 20) || "3"} model`,
    kerasMajor: Number.parseInt(version, 10) || 3,
    inputShape: chain.inputShape,
    layers: chain.layers,
    weightsOf: (layer) => numberedWeights(file, groups.get(layer) as string, layer),
  };
}
