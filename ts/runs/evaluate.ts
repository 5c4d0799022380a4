/** Scores and pictures of a run that has ended. */
import { join } from "node:path";
import { FlexaeError } from "../addon/errors.js";
import { awaitAddon } from "../addon/loader.js";
import type { Scores } from "../addon/types.js";
import { toLoadOptions } from "../config/data.js";
import type { TakenBy } from "../config/parameters.js";
import { resolveSettings, type Settings } from "../config/resolve.js";
import type { ListingProgress } from "../containers/listing.js";
import type { ImageSet } from "../dataset/image_set.js";
import { openSet } from "../dataset/open_set.js";
import { shownPath } from "../files/paths.js";
import { type SetName, writePictures } from "../imaging/pictures.js";
import { checkDevice, TRAIN_DIR, VALID_DIR } from "./plan.js";
import { recordedFolders } from "./setting.js";

/** What may differ from the run's own settings. */
export type EvaluateOverrides = Partial<Pick<Settings, TakenBy<"evaluate">>> & {
  /** Takes an `ae.pt` that this program did not write, too, and runs what is in it. */
  trust?: boolean;
  /** Called now and then where it takes longer than a second to list a set. */
  onListing?: ((listing: ListingProgress) => void) | undefined;
};

/** The scores of a set of images, and how many of them could be used. */
export type ScoredImages = Scores & {
  /** Without those that could not be used. */
  images: number;
};

/** The scores of a run's model, computed anew. */
export interface Evaluation {
  /** Absolute. */
  runDir: string;
  /** Where they were computed: cpu or cuda:N. */
  device: string;
  /** Of the training images; null if their folder is gone. */
  train: ScoredImages | null;
  /** Of the validation images; null if their folder is gone. */
  valid: ScoredImages | null;
  /** Names of the pictures written, in the run folder. */
  pictures: string[];
  /** What is worth saying, such as why a set was left out. */
  warnings: string[];
}

/** The settings a model was trained with. */
function trainedSettings(path: string, configJson: string): Settings {
  let values: unknown;
  try {
    values = (JSON.parse(configJson) as { settings?: unknown }).settings;
  } catch {
    values = undefined;
  }
  if (typeof values !== "object" || values === null) {
    throw new FlexaeError(
      "FLEXAE_MODEL",
      `${path} carries no config.json of this program: it was not written by \`flexae run\``,
    );
  }
  return resolveSettings([
    { values: values as Record<string, unknown>, spell: (name) => `${name} in ${path}` },
  ]);
}

/**
 * Reloads a run's `ae.pt`, scores it on both sets and rewrites the run's pictures.
 *
 * @throws FlexaeError `FLEXAE_MODEL` if the model cannot be loaded, `FLEXAE_DATA` if neither set,
 *   or not the one asked for, can be used.
 */
export async function evaluateRun(
  runDir: string,
  { trust = false, onListing, ...overrides }: EvaluateOverrides = {},
): Promise<Evaluation> {
  const path = join(runDir, "ae.pt");
  const device = overrides.device ?? "auto";
  checkDevice(device);
  const model = await awaitAddon((addon) =>
    addon.loadModel(path, device, { trust, precision: "fp32" }),
  );
  try {
    const settings = {
      ...trainedSettings(path, model.configJson),
      // Relative folders are relative to where the run was started, which the run recorded.
      ...recordedFolders(runDir),
      ...overrides,
    };
    const load = toLoadOptions(settings);
    const found: Evaluation = {
      runDir,
      device: model.device,
      train: null,
      valid: null,
      pictures: [],
      warnings: [],
    };
    let missing: unknown;
    for (const set of ["train", "valid"] as SetName[]) {
      const parameter = `${set}_dir` as const;
      let images: ImageSet;
      try {
        const argument = set === "train" ? TRAIN_DIR : VALID_DIR;
        images = await openSet(settings[parameter], argument, { onListing });
      } catch (error) {
        // The other set can do without one that nobody asked for and that has gone meanwhile.
        if (overrides[parameter] !== undefined || missing !== undefined) throw error;
        missing = error;
        found.warnings.push((error as Error).message);
        continue;
      }
      const { bad, ...scores } = await awaitAddon(() =>
        model.evaluate(images.source, load, settings.batch_size),
      );
      found[set] = { ...scores, images: images.images - bad };
      if (bad > 0) {
        found.warnings.push(
          `${bad} of the ${images.images} images in ${shownPath(settings[parameter])} cannot be used and were left out: flexae check names them`,
        );
      }
      try {
        const { seed } = settings;
        const { source } = images;
        found.pictures.push(
          ...(await writePictures({ model, set, source, load, seed, folder: runDir })),
        );
      } catch (error) {
        found.warnings.push(`The ${set} pictures could not be made: ${(error as Error).message}`);
      }
    }
    return found;
  } finally {
    model.dispose();
  }
}
