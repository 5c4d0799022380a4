/** Whether the files of an export compute what the native pass does. */
import { stat } from "node:fs/promises";
import { basename, join } from "node:path";
import type { ExportFormat, Verification, Verified, Verify } from "../export/format.js";
import { nativeOutputs, type OutputDifference } from "../export/native_outputs.js";
import type { Reference } from "../export/reference.js";
import { judge, verifyError } from "./judge.js";
import { ReadBack } from "./read_back.js";
import { verifyOnnx } from "./verify_onnx.js";

interface FileDifference extends OutputDifference {
  images: number;
}

/** Bytes of a file of Keras that can be read whole: Node and the HDF5 library end there. */
const MOST_READ = 2 ** 31 - 1;

/** How files are run, by what their names end with. What is not listed is text beside others. */
type Runner = (
  path: string,
  reference: Reference,
  readBack: ReadBack,
  signal: AbortSignal | undefined,
) => Promise<FileDifference | null>;

async function runTaken(path: string, reference: Reference, readBack: ReadBack) {
  return { ...(await readBack.difference(path, reference)), images: reference.count };
}

/** HDF5 is read from memory. */
async function runKeras(path: string, reference: Reference, readBack: ReadBack) {
  if ((await stat(path)).size > MOST_READ) return null;
  return await runTaken(path, reference, readBack);
}

const RUNNERS: readonly (readonly [ending: string, run: Runner])[] = [
  [".onnx", (path, reference, _, signal) => verifyOnnx(path, reference, signal)],
  [".keras", runKeras],
  [".h5", runKeras],
  [".safetensors", runTaken],
  [
    ".pt",
    async (path, reference) => {
      const found = await nativeOutputs(path, reference.levels);
      return { ...judge(basename(path), found, reference), images: reference.count };
    },
  ],
];

/** Names of files that hold an encoder alone. */
const isEncoder = (name: string) => name.startsWith("en");

function runnerOf(name: string): Runner | undefined {
  return RUNNERS.find(([ending]) => name.endsWith(ending))?.[1];
}

/** Files that formats share are run once. */
class Runs {
  #known = new Map<string, FileDifference | null>();
  #readBack: ReadBack;

  constructor(readonly given: Verification) {
    this.#readBack = new ReadBack(given);
  }

  /** Null of a file that is too large. */
  async difference(name: string, run: Runner): Promise<FileDifference | null> {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const { folder, reference, signal } = this.given;
    signal?.throwIfAborted();
    const meant = isEncoder(name) ? { ...reference, reconstruction: null } : reference;
    const found = await run(join(folder, name), meant, this.#readBack, signal);
    this.#known.set(name, found);
    return found;
  }

  async format({ name, files }: ExportFormat): Promise<Verified> {
    const verified: Verified = {
      format: name,
      files: [],
      tooLarge: [],
      images: this.given.reference.count,
      embedding: 0,
      reconstruction: 0,
    };
    for (const file of files) {
      const run = runnerOf(file);
      if (run === undefined) continue;
      const found = await this.difference(file, run);
      if (found === null) {
        verified.tooLarge.push(file);
        continue;
      }
      const { images, embedding, reconstruction } = found;
      verified.files.push(file);
      verified.images = Math.min(verified.images, images);
      verified.embedding = Math.max(verified.embedding, embedding);
      verified.reconstruction = Math.max(verified.reconstruction, reconstruction);
    }
    if (verified.files.length + verified.tooLarge.length === 0)
      throw verifyError(name, "has no file that can be run");
    return verified;
  }
}

/**
 * Runs the files of each format: graphs of ONNX by {@link verifyOnnx}, TorchScript as every run of
 * this program, and others as models that are imported.
 *
 * @throws FlexaeError `FLEXAE_INTERNAL` naming a file that computes something else, `FLEXAE_IO`.
 */
export const verifyFiles: Verify = async (given) => {
  const runs = new Runs(given);
  const verified: Verified[] = [];
  for (const format of given.formats) verified.push(await runs.format(format));
  return verified;
};
