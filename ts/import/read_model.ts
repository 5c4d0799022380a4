/** A file that a model is taken from: what it is, which network it describes, and its weights. */
import { open, readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ioError, isAddonError, systemReason, translateError } from "../addon/errors.js";
import { awaitAddon } from "../addon/loader.js";
import type { PlannedLayer } from "../addon/types.js";
import { fromNetwork } from "../config/network.js";
import type { GivenSettings } from "../config/resolve.js";
import { isMapping } from "../config/values.js";
import { shownPath } from "../files/paths.js";
import { type ModelManifest, readManifest } from "../runs/setting.js";
import { Archive } from "./archive.js";
import { type ForeignModel, modelError, type StoredWeights } from "./foreign.js";
import { type OpenHdf5, openForeignHdf5 } from "./hdf5.js";
import { readKerasArchive } from "./keras_archive.js";
import { readKerasModel, type WeightQueue, weightQueue } from "./keras_h5.js";
import { differences, plannedSteps, takeWeights, withoutDetour } from "./match.js";
import { networkOf } from "./network.js";
import { matchState, readSafetensors, readTorchState, type StateDict } from "./state_dict.js";
import { type Step, stepsOf } from "./steps.js";

/** A model in a file. */
export interface FoundModel {
  /** For people, such as `Keras 3 model`. */
  format: string;
  /** What the file says of the network; null if it holds weights alone. */
  given: GivenSettings | null;
  /** What was left out of it. */
  notes: string[];
  /**
   * The weights of the network, by the names of its layers; they are read where they lie.
   *
   * @throws FlexaeError `FLEXAE_MODEL` naming, layer by layer, what does not fit.
   */
  weights(layers: readonly PlannedLayer[]): StoredWeights;
}

/** Problems that a message has; more of them are counted. */
const SHOWN = 6;

function refuse(
  path: string,
  problems: readonly string[],
  what = "holds what this program cannot express",
): never {
  const more = problems.length > SHOWN ? ` and ${problems.length - SHOWN} more` : "";
  const list = problems.slice(0, SHOWN).join("; ");
  throw modelError(path, `${what}: ${list}${more}`);
}

/** What a Keras model is here. */
function kerasModel(path: string, model: ForeignModel): FoundModel {
  const { steps, problems } = stepsOf(model.layers, model.kerasMajor);
  if (problems.length > 0) refuse(path, problems);
  if (model.inputShape === null) {
    throw modelError(path, "takes images of any size, and a network here is made for one size");
  }
  const found = networkOf(steps, model.inputShape);
  if (found.problems.length > 0) refuse(path, found.problems);
  return {
    format: model.format,
    notes: found.notes,
    given: {
      values: found.values,
      spell: (name) => `${name} of the network in ${shownPath(path)}`,
    },
    weights: (layers) => weightsOfSteps(path, model, steps, layers),
  };
}

/** The weights of a Keras model that has the steps of these layers. */
function weightsOfSteps(
  path: string,
  model: ForeignModel,
  steps: readonly Step[],
  layers: readonly PlannedLayer[],
): StoredWeights {
  const planned = withoutDetour(plannedSteps(layers), steps);
  const differing = differences(steps, planned);
  if (differing.length > 0) refuse(path, differing);
  const missing: string[] = [];
  const taken = planned.map((step, i) => {
    if (step.weights.length === 0) return {};
    // One found for each that is planned: there are no differences.
    const { layer } = steps[i] as Step;
    return takeWeights(step, layer, model.weightsOf(layer), missing);
  });
  if (missing.length > 0) refuse(path, missing);
  return Object.assign({}, ...taken);
}

/** A Keras model that is a part of a network, such as an encoder: which one, it does not say. */
function kerasPart(path: string, model: ForeignModel): FoundModel {
  const { steps, problems } = stepsOf(model.layers, model.kerasMajor);
  if (problems.length > 0) refuse(path, problems);
  return {
    format: model.format,
    notes: [],
    given: null,
    weights(layers) {
      const [channels, ...sizes] = layers[0]?.inputShape ?? [];
      const wanted = [...sizes, channels];
      if (model.inputShape?.join() !== wanted.join()) {
        refuse(path, [`its input is ${model.inputShape?.join("×")}, not ${wanted.join("×")}`]);
      }
      return weightsOfSteps(path, model, steps, layers);
    },
  };
}

/** Weights of Keras without a description. */
function kerasWeights(path: string, queue: WeightQueue): FoundModel {
  return {
    format: queue.format,
    notes: [],
    given: null,
    weights(layers) {
      const problems: string[] = [];
      const taken = plannedSteps(layers).map((step) => {
        if (step.weights.length === 0) return {};
        const found = queue.next(step.layer);
        if (found !== undefined) return takeWeights(step, found, found.weights, problems);
        problems.push(`${step.layer.name}: its weights are not in the file`);
        return {};
      });
      problems.push(...queue.left().map((name) => `${name}: no layer has its weights`));
      if (problems.length > 0) refuse(path, problems, "is of another network");
      return Object.assign({}, ...taken);
    },
  };
}

/** The settings that travel with a model of this program. */
export function manifestSettings(path: string, manifest: ModelManifest | null): GivenSettings {
  if (!isMapping(manifest?.model) || !isMapping(manifest.settings)) {
    throw modelError(path, "is no config.json of a model of this program");
  }
  return {
    values: { ...fromNetwork(manifest.model), ...manifest.settings, save_prefix: manifest.name },
    spell: (name) => `${name} in ${shownPath(path)}`,
  };
}

/** The `config.json` that an export has beside its weights; null if there is none. */
async function settingsBeside(path: string): Promise<GivenSettings | null> {
  const beside = join(dirname(path), "config.json");
  const text = await readFile(beside, "utf8").catch(() => null);
  const manifest = text === null ? null : readManifest(text);
  // Other programs call theirs so, too.
  const isOurs = isMapping(manifest?.model) && isMapping(manifest.settings);
  return isOurs ? manifestSettings(beside, manifest) : null;
}

async function stateModel(path: string, state: StateDict): Promise<FoundModel> {
  return {
    format: state.format,
    given: await settingsBeside(path),
    notes: [],
    weights: (layers) => matchState(path, state, layers),
  };
}

async function ownModel(path: string): Promise<FoundModel> {
  const model = await awaitAddon((addon) => addon.readModelLayers(path));
  if (model.kind !== "autoencoder") {
    throw modelError(path, "is an encoder alone: give the ae.pt beside it");
  }
  const tensors = new Map(
    model.layers.flatMap(({ weights }) =>
      weights.map(({ name, shape, values }) => [name, { shape, read: () => values }] as const),
    ),
  );
  return {
    format: "ae.pt",
    given: manifestSettings(path, readManifest(model.configJson)),
    notes: [],
    weights: (layers) => matchState(path, { format: "ae.pt", tensors, isOrdered: false }, layers),
  };
}

/** What is made of a Keras model: {@link kerasModel}, or {@link kerasPart}. */
type TakeKeras = typeof kerasModel;

/** How a file is taken. */
interface Taking {
  keras: TakeKeras;
  openHdf5: OpenHdf5;
}

function readZip(path: string, { keras, openHdf5 }: Taking): Promise<FoundModel> {
  return Archive.with(path, async (archive) => {
    const { names } = archive;
    if (names.some((name) => name.endsWith("/extra/weights.json"))) return await ownModel(path);
    if (names.includes("config.json")) {
      return keras(path, await readKerasArchive(path, archive, openHdf5));
    }
    if (names.some((name) => /^[^/]+\/code\//.test(name))) {
      throw modelError(
        path,
        "is TorchScript of another program: code, which is never run. Give its weights instead",
      );
    }
    return await stateModel(path, await readTorchState(path, archive));
  });
}

async function readHdf5(
  path: string,
  { keras, openHdf5 }: Taking,
  whole: () => Promise<Uint8Array>,
): Promise<FoundModel> {
  const { size } = await stat(path);
  const file = await openHdf5({ path, place: { offset: 0, length: size }, read: whole });
  const model = readKerasModel(path, file);
  if (model !== null) return keras(path, model);
  return kerasWeights(path, weightQueue(path, file));
}

/** The first bytes of zip and HDF5 files. */
const ZIP = Buffer.from("PK\x03\x04", "latin1");
const HDF5 = Buffer.from("\x89HDF\r\n\x1a\n", "latin1");

async function firstBytes(path: string): Promise<Buffer> {
  const handle = await open(path);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(9), 0, 9, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** What reading a file may be told. */
export interface ReadOptions {
  signal?: AbortSignal | undefined;
  /** What opens HDF5: as a stranger's file unless told. */
  openHdf5?: OpenHdf5 | undefined;
}

/**
 * Reads a file of whichever kind its bytes say that it is.
 *
 * @throws FlexaeError `FLEXAE_IO` if it cannot be read, `FLEXAE_MODEL` if it holds no model, is
 *   damaged, or holds what cannot be expressed.
 */
export async function readModel(path: string, options: ReadOptions = {}): Promise<FoundModel> {
  return await readAs(kerasModel, path, options);
}

/**
 * Reads a file of whichever kind that may hold a part of a network alone: of Keras, an encoder is a
 * model, too. Its `weights` takes the layers of that part.
 *
 * @throws FlexaeError as {@link readModel} does.
 */
export async function readPart(path: string, options: ReadOptions = {}): Promise<FoundModel> {
  return await readAs(kerasPart, path, options);
}

async function readAs(
  keras: TakeKeras,
  path: string,
  { signal, openHdf5 = openForeignHdf5 }: ReadOptions,
): Promise<FoundModel> {
  try {
    return await readKnown(path, signal, { keras, openHdf5 });
  } catch (error) {
    if (signal?.aborted === true) throw error;
    if (isAddonError(error)) throw translateError(error);
    // Whatever a library makes of it, or the engine: too deep, too long, too many.
    throw modelError(path, "is damaged, or no model", error);
  }
}

async function readKnown(
  path: string,
  signal: AbortSignal | undefined,
  taking: Taking,
): Promise<FoundModel> {
  const read = async <T>(reading: Promise<T>): Promise<T> => {
    try {
      return await reading;
    } catch (error) {
      if (signal?.aborted === true) throw error;
      throw ioError(`${shownPath(path)} cannot be read: ${systemReason(error)}`, error);
    }
  };
  const kind = await read(stat(path));
  // Others may never end.
  if (!kind.isFile() && !kind.isDirectory()) throw modelError(path, "is no file");
  const magic = await read(firstBytes(path));
  const whole = () => read(readFile(path, { signal }));
  if (magic.indexOf(HDF5) === 0) return await readHdf5(path, taking, whole);
  if (magic.indexOf(ZIP) === 0) return await readZip(path, taking);
  // The length of a header in JSON, and the header.
  if (magic.length === 9 && magic[8] === 0x7b) {
    return await stateModel(path, await readSafetensors(path));
  }
  throw modelError(
    path,
    "is no model that can be taken: give a .keras, .h5, .safetensors, state dict or ae.pt file",
  );
}
