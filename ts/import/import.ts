/** Models of other programs as runs of this one. */
import { join, resolve } from "node:path";
import { configError, translateError } from "../addon/errors.js";
import { awaitAddon, callAddon } from "../addon/loader.js";
import type { Summary } from "../addon/types.js";
import { toNetwork } from "../config/network.js";
import { type GivenSettings, resolveSettings } from "../config/resolve.js";
import { writeFileAtomic } from "../files/atomic.js";
import { checksum } from "../files/checksum.js";
import { shownPath } from "../files/paths.js";
import { StagedFolder } from "../files/staged_folder.js";
import { holdsFiles, newRunPath, SETTING_FILE } from "../runs/folder.js";
import { summarize } from "../runs/plan.js";
import { importedText, modelManifest } from "../runs/setting.js";
import { modelError, readWeights } from "./foreign.js";
import { type FoundModel, readModel } from "./read_model.js";
import { settingsOf } from "./settings.js";

/** Where an imported model goes. */
export interface ImportOptions {
  /** The run's folder, new or empty; `logs/ae_<time>` unless given. */
  out?: string | undefined;
  /** Ends it before the run is made; it then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
}

/** A model that was imported. */
export interface Imported {
  /** The run's folder, absolute. */
  runDir: string;
  /** What the file was, such as `Keras 3 model`. */
  format: string;
  /** What of the file was left out, and why. */
  notes: string[];
  /** Of the network. */
  summary: Summary;
  /** SHA-256 of `ae.pt`, in hexadecimal digits. */
  modelSha256: string;
  /** How long it took. */
  seconds: number;
}

async function write(
  path: string,
  out: string,
  model: FoundModel,
  given: readonly GivenSettings[],
  signal: AbortSignal | undefined,
): Promise<Omit<Imported, "seconds">> {
  const settings = settingsOf(path, model.given, given);
  const network = toNetwork(settings);
  const summary = summarize(settings);
  const layers = callAddon((addon) => addon.describeLayers(JSON.stringify(network)));
  const weights = readWeights(model.weights(layers));
  signal?.throwIfAborted();
  const staged = await StagedFolder.create(out);
  try {
    const source = { file: resolve(path), sha256: await checksum(path), format: model.format };
    const { sha256, format } = source;
    const manifest = { ...modelManifest(settings, network), imported: { format, sha256 } };
    await awaitAddon((addon) => addon.writeModel(staged.path, JSON.stringify(manifest), weights));
    const record = importedText({ settings, summary, runDir: out, source });
    await writeFileAtomic(join(staged.path, SETTING_FILE), record);
    const modelSha256 = await checksum(join(staged.path, "ae.pt"));
    signal?.throwIfAborted();
    await staged.finish();
    return { runDir: out, format: model.format, notes: model.notes, summary, modelSha256 };
  } catch (error) {
    await staged.abandon();
    if (signal?.aborted === true) throw error;
    const { code, message } = translateError(error);
    throw code === "FLEXAE_MODEL" ? modelError(path, `cannot be taken: ${message}`) : error;
  }
}

/** A new folder in `logs/`. */
async function newFolder(): Promise<string> {
  const now = new Date();
  for (let n = 1; ; n++) {
    const path = newRunPath(now, n);
    if (!(await holdsFiles(path, path))) return path;
  }
}

/**
 * Makes a run of a model of Keras, PyTorch or this program. Nothing in the file is executed.
 *
 * @param file - A `.keras` file, an `.h5` file of Keras (a whole model, or weights alone), a
 *   `.safetensors` file or state dict of this program's names, or an `ae.pt`.
 * @param given - Settings for what the file does not say: of weights alone, the network.
 * @throws FlexaeError `FLEXAE_MODEL` naming, layer by layer, what cannot be expressed or does not
 *   fit, `FLEXAE_CONFIG`, `FLEXAE_IO`. Nothing is then written.
 */
export async function importModel(
  file: string,
  given: readonly GivenSettings[],
  { out, signal }: ImportOptions = {},
): Promise<Imported> {
  const began = performance.now();
  // Wrong settings are wrong whatever the file holds.
  resolveSettings(given);
  if (out !== undefined && (await holdsFiles(out, shownPath(out)))) {
    throw configError(`${shownPath(out)} already holds files: choose another folder`);
  }
  try {
    const model = await readModel(file, { signal });
    signal?.throwIfAborted();
    const folder = out === undefined ? await newFolder() : resolve(out);
    const made = await write(file, folder, model, given, signal);
    return { ...made, seconds: (performance.now() - began) / 1000 };
  } catch (error) {
    throw signal?.aborted === true ? signal.reason : translateError(error);
  }
}
