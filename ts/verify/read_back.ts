/** Exported files taken back as strangers' files are, and run natively. */
import { createHash } from "node:crypto";
import { mkdir, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { ioError, isAddonError, systemReason } from "../addon/errors.js";
import { awaitAddon, callAddon } from "../addon/loader.js";
import type { ModelLayer, PlannedLayer } from "../addon/types.js";
import { toNetwork } from "../config/network.js";
import { bytesOf } from "../export/bits.js";
import type { Verification } from "../export/format.js";
import {
  type NativeOutputs,
  nativeOutputs,
  type OutputDifference,
} from "../export/native_outputs.js";
import type { Reference } from "../export/reference.js";
import { shownPath } from "../files/paths.js";
import { readWeights, type StoredTensor, type StoredWeights } from "../import/foreign.js";
import type { OpenHdf5 } from "../import/hdf5.js";
import { manifestSettings, type ReadOptions, readModel, readPart } from "../import/read_model.js";
import { settingsOf } from "../import/settings.js";
import { modelManifest } from "../runs/setting.js";
import { judge, verifyError } from "./judge.js";
import { OwnHdf5Files } from "./own_hdf5.js";

/** A model as it was read: what it computes, and with which weights. */
interface Taken {
  /** What travels in an `ae.pt` of it. */
  configJson: string;
  layers: readonly PlannedLayer[];
  weights: Readonly<StoredWeights>;
}

/** Of layers and all bits of their weights: what has the same computes the same. */
function digest(layers: readonly PlannedLayer[], weights: Taken["weights"]): string {
  const hash = createHash("sha256");
  for (const { name, type, weights: own, ...rest } of layers) {
    hash.update(JSON.stringify([name, type, own, rest]));
    for (const weight of own) {
      hash.update(bytesOf((weights[weight.name] as StoredTensor).read()));
    }
  }
  return hash.digest("hex");
}

/** Weights that are in memory. */
const storedWeights = (layers: readonly ModelLayer[]): StoredWeights =>
  Object.fromEntries(
    layers.flatMap(({ weights }) =>
      weights.map(({ name, shape, values }) => [name, { shape, read: () => values }]),
    ),
  );

const encoderOf = (layers: readonly PlannedLayer[]) =>
  layers.filter(({ part }) => part === "encoder");

/** Takes files back, one after the other. */
export class ReadBack {
  #given: Verification;
  /** By the digests of whole models and of encoders, what was run natively already. */
  #ran = new Map<string, OutputDifference>();

  constructor(given: Verification) {
    this.#given = given;
    const { model, manifest, half } = given.source;
    if (half !== undefined) return;
    // The reference is what these layers and weights give.
    const layers = callAddon((addon) => addon.describeLayers(JSON.stringify(manifest.model)));
    const weights = storedWeights(model.layers);
    const same = { embedding: 0, reconstruction: 0 };
    this.#ran.set(digest(layers, weights), same);
    this.#ran.set(digest(encoderOf(layers), weights), same);
  }

  /**
   * Reads a file as `flexae import` does, which knows nothing of how it was written. Where layers
   * and all bits of their weights are those of what was run natively, such as the exported model,
   * it gives what that gave. Else an `ae.pt` is made of it, and run.
   *
   * @param meant - Of an encoder, without a reconstruction.
   * @throws FlexaeError `FLEXAE_INTERNAL` naming the file if it cannot be read, or computes
   *   something else; `FLEXAE_IO`.
   */
  async difference(path: string, meant: Reference): Promise<OutputDifference> {
    const own = new OwnHdf5Files();
    try {
      return await this.#difference(path, meant, own.openHdf5);
    } finally {
      await own.close();
    }
  }

  async #difference(path: string, meant: Reference, openHdf5: OpenHdf5): Promise<OutputDifference> {
    const name = basename(path);
    const isWhole = meant.reconstruction !== null;
    const options = { signal: this.#given.signal, openHdf5 };
    let taken: Taken;
    let key: string;
    try {
      taken = isWhole ? await this.#take(path, options) : await this.#takeEncoder(path, options);
      key = digest(isWhole ? taken.layers : encoderOf(taken.layers), taken.weights);
    } catch (error) {
      this.#given.signal?.throwIfAborted();
      if (isAddonError(error) && error.code === "FLEXAE_IO") throw error;
      const why = (error as Error).message.replaceAll(`${shownPath(path)} `, "");
      throw verifyError(name, `cannot be taken back: ${why}`, error);
    }
    const known = this.#ran.get(key);
    if (known !== undefined) return known;
    const found = judge(name, await this.#run(taken), meant);
    this.#ran.set(key, found);
    return found;
  }

  /** A whole model: its network is what the file says, or that of weights alone what is known. */
  async #take(path: string, options: ReadOptions): Promise<Taken> {
    const { source } = this.#given;
    const model = await readModel(path, options);
    const given = model.given === null ? [manifestSettings(source.path, source.manifest)] : [];
    const settings = settingsOf(path, model.given, given);
    const network = toNetwork(settings);
    const layers = callAddon((addon) => addon.describeLayers(JSON.stringify(network)));
    const configJson = JSON.stringify(modelManifest(settings, network));
    return { configJson, layers, weights: model.weights(layers) };
  }

  /** An encoder, which is a model of Keras, but none of this program: it gets our decoder. */
  async #takeEncoder(path: string, options: ReadOptions): Promise<Taken> {
    const { model, manifest } = this.#given.source;
    const layers = callAddon((addon) => addon.describeLayers(JSON.stringify(manifest.model)));
    const found = await readPart(path, options);
    const decoder = storedWeights(model.layers.filter(({ part }) => part === "decoder"));
    const weights = { ...decoder, ...found.weights(encoderOf(layers)) };
    return { configJson: model.configJson, layers, weights };
  }

  async #run({ configJson, weights }: Taken): Promise<NativeOutputs> {
    const { folder, reference } = this.#given;
    // Within the folder that is not there yet: of a process that is killed, nothing is left.
    const place = join(folder, "taken-back");
    try {
      await mkdir(place);
    } catch (error) {
      throw ioError(`${place} cannot be made: ${systemReason(error)}`, error);
    }
    try {
      await awaitAddon((addon) => addon.writeModel(place, configJson, readWeights(weights)));
      return await nativeOutputs(join(place, "ae.pt"), reference.levels);
    } finally {
      await rm(place, { recursive: true, force: true });
    }
  }
}
