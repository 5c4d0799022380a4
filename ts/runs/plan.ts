/** Everything that can be wrong with a run is found here, before anything is written. */
import { configError } from "../addon/errors.js";
import { callAddon } from "../addon/loader.js";
import type { Summary } from "../addon/types.js";
import { type Network, toNetwork } from "../config/network.js";
import type { Settings } from "../config/resolve.js";
import type { ListingOptions } from "../containers/listing.js";
import type { ImageSet, SetArgument } from "../dataset/image_set.js";
import { openSet } from "../dataset/open_set.js";
import { type SplitSet, splitSet } from "../dataset/split.js";
import { shownPath } from "../files/paths.js";
import { checkSaveDir } from "./folder.js";

/** A run that can start. */
export interface Plan {
  settings: Settings;
  network: Network;
  summary: Summary;
  train: ImageSet;
  valid: ImageSet;
  /** The two are parts of one: lists of them are to be kept with the run. */
  isSplit: boolean;
  /** What is allowed but worth saying. */
  warnings: string[];
}

/** Images that are in memory already: bytes, N×C×H×W. */
export interface MemoryImages {
  /** In place of `train_dir`. */
  train?: Uint8Array | undefined;
  /** In place of `valid_dir`. */
  valid?: Uint8Array | undefined;
}

/**
 * The summary of a network.
 *
 * @throws FlexaeError `FLEXAE_CONFIG` naming the layer an image is too small for.
 */
export function summarize(settings: Settings): Summary {
  return callAddon((addon) =>
    addon.summarize(
      JSON.stringify(toNetwork(settings)),
      settings.batch_size,
      settings.optimizer,
      settings.device,
    ),
  );
}

/** Checks that a device can be used here, and that the environment names inner loops there are. */
export function checkDevice(device: string): void {
  const { cpu, cuda } = callAddon((addon) => addon.hardware());
  if (cpu.kernelsProblem !== "") throw configError(cpu.kernelsProblem);
  if (!device.startsWith("cuda")) return;
  const remedy = "use --device cpu, or see what `flexae doctor` says";
  if (cuda.problem !== "" || cuda.devices.length === 0) {
    throw configError(
      `device ${device} cannot be used: ${cuda.problem || "no CUDA device was found"}; ${remedy}`,
    );
  }
  const index = Number(device.split(":")[1] ?? 0);
  if (!cuda.devices.some((d) => d.index === index)) {
    const known = cuda.devices.map((d) => `cuda:${d.index}`).join(", ");
    throw configError(`device ${device} does not exist: this machine has ${known}`);
  }
}

export const TRAIN_DIR: SetArgument = { name: "train_dir", flag: "--train-dir" };
export const VALID_DIR: SetArgument = {
  name: "valid_dir",
  flag: "--valid-dir",
  refusesWeights: true,
};

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}

function memorySet(name: string, images: Uint8Array, network: Network): ImageSet {
  const size = network.channels * network.height * network.width;
  if (images.length === 0 || images.length % size !== 0) {
    throw configError(
      `Expected N×${network.channels}×${network.height}×${network.width} bytes for ${name} but received ${images.length} bytes`,
    );
  }
  return {
    source: { images },
    images: images.length / size,
    classes: [],
    labels: new Int32Array(),
    loose: 0,
    others: 0,
    place: null,
    root: "",
  };
}

async function splitImages(
  { train_dir, valid_split, seed }: Settings,
  memory: MemoryImages,
  listing: ListingOptions,
): Promise<SplitSet> {
  if (memory.train !== undefined || memory.valid !== undefined) {
    throw configError("valid_split means nothing to images in memory: leave it out");
  }
  return splitSet(await openSet(train_dir, TRAIN_DIR, listing), valid_split, seed);
}

/**
 * Checks the network, the device, the run folder and the images.
 *
 * @throws FlexaeError `FLEXAE_CONFIG`, `FLEXAE_DATA` or `FLEXAE_IO`. Rejects with the reason of an
 *   aborted signal.
 */
export async function planRun(
  settings: Settings,
  memory: MemoryImages = {},
  save = true,
  listing: ListingOptions = {},
): Promise<Plan> {
  const network = toNetwork(settings);
  const summary = summarize(settings);
  if (save) await checkSaveDir(settings.save_dir, settings.overwrite);
  checkDevice(settings.device);
  const isSplit = settings.valid_split > 0;
  const { train, valid } = isSplit
    ? await splitImages(settings, memory, listing)
    : {
        train:
          memory.train === undefined
            ? await openSet(settings.train_dir, TRAIN_DIR, listing)
            : memorySet("trainImages", memory.train, network),
        valid:
          memory.valid === undefined
            ? await openSet(settings.valid_dir, VALID_DIR, listing)
            : memorySet("validImages", memory.valid, network),
      };
  const warnings: string[] = [];
  for (const { loose, place } of isSplit ? [train] : [train, valid]) {
    if (loose === 0 || place === null) continue;
    warnings.push(
      `${loose} image${loose === 1 ? " lies" : "s lie"} directly in ${shownPath(place)}, beside the folders of its classes, and will be left out`,
    );
  }
  if (train.images < settings.batch_size) {
    warnings.push(
      `batch_size ${settings.batch_size} is more than the ${train.images} training images: each epoch is one smaller batch`,
    );
  }
  // Linux promises memory that it does not have, and ends whoever uses it without a word.
  const available = process.availableMemory();
  if (!settings.device.startsWith("cuda") && summary.trainingBytes > available) {
    warnings.push(
      `this training takes about ${gigabytes(summary.trainingBytes)} of memory and ${gigabytes(available)} are free: a smaller batch_size or imageShape takes less`,
    );
  }
  return { settings, network, summary, train, valid, isSplit, warnings };
}
