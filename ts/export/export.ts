/** Trained models for other programs: a folder of files, which is whole or not there. */
import { readdir, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import {
  configError,
  FlexaeError,
  ioError,
  systemReason,
  translateError,
} from "../addon/errors.js";
import { awaitAddon } from "../addon/loader.js";
import { writeFileAtomic } from "../files/atomic.js";
import { checksum } from "../files/checksum.js";
import { StagedFolder } from "../files/staged_folder.js";
import { findRun } from "../runs/folder.js";
import { readManifest } from "../runs/setting.js";
import type { InputType } from "./contract.js";
import type { ExportFormat, ExportSource, Verified, Verify } from "./format.js";
import { FORMATS } from "./formats.js";
import { type HalfDifference, halfDifference } from "./half.js";
import { halfOutputs } from "./half_outputs.js";
import { modelCard } from "./model_card.js";
import type { OutputDifference } from "./native_outputs.js";
import { readReference } from "./reference.js";

/** What is exported, and where to. */
export interface ExportOptions {
  /** Names of formats: `onnx`, `pytorch`, `safetensors`, `keras`, `torchscript`. */
  to: string | readonly string[];
  /** The folder; `export` beside the model unless given. One of an earlier export is replaced. */
  out?: string | undefined;
  /** What ONNX graphs take: `float32`, in [0, 1], unless given, or `uint8`. */
  input?: InputType | undefined;
  /**
   * Whether ONNX graphs resize, as training does: they then take N×H×W×C bytes of any size, the
   * same for images that go in together. `input` need not be given; it must not be `float32`.
   */
  withResize?: boolean | undefined;
  /** Weights in fp16, for `onnx`, `pytorch` and `safetensors`; what they compute stays fp32. */
  half?: boolean | undefined;
  /** What the model card says of the licence, such as `mit`; `unknown` unless given. */
  license?: string | undefined;
  /** Ends it between two formats; it then rejects with the signal's reason. Nothing is written. */
  signal?: AbortSignal | undefined;
}

/** A file that was written. */
export interface ExportedFile {
  /** Its name in the folder. */
  name: string;
  /** Its length. */
  bytes: number;
  /** Its SHA-256, in hexadecimal digits. */
  sha256: string;
}

/** What fp16 did to a model. */
export interface ExportedHalf extends HalfDifference {
  /** To what it gives. */
  outputs: OutputDifference;
}

/** What was written. */
export interface Exported {
  /** The folder, absolute. */
  out: string;
  /** The autoencoder's file, absolute. */
  model: string;
  /** Its SHA-256, in hexadecimal digits. */
  modelSha256: string;
  /** Names of the formats. */
  formats: string[];
  /** With `half`, what it does to the weights, and to what the model gives. */
  half?: ExportedHalf;
  /**
   * Of each format, how far what its files compute is from the native pass; with `half`, from that
   * of rounded weights.
   */
  verified: Verified[];
  /** All files but `SHA256SUMS`. */
  files: ExportedFile[];
  /** How long it took. */
  seconds: number;
}

const CARD_FILE = "MODEL_CARD.md";
const SUMS_FILE = "SHA256SUMS";

/** The formats that are meant, each once. */
function chosenFormats(to: string | readonly string[]): ExportFormat[] {
  const names = typeof to === "string" ? to.split(",") : to;
  const known = FORMATS.map(({ name }) => name);
  for (const name of names) {
    if (known.includes(name)) continue;
    throw configError(`Expected ${known.join(", ")} for to but received ${name || "nothing"}`);
  }
  if (names.length === 0) throw configError(`Expected at least one of ${known.join(", ")} for to`);
  return FORMATS.filter(({ name }) => names.includes(name));
}

/** The file of a model that is named: a run's folder, `last`, or the file itself. */
async function modelFile(name: string): Promise<string> {
  if (basename(name).endsWith(".pt") && (await stat(name).catch(() => null))?.isFile()) {
    return resolve(name);
  }
  return join(await findRun(name), "ae.pt");
}

/**
 * Checks that the folder may be replaced: it is not there or empty, or holds an export of these
 * files.
 */
async function checkFolder(out: string, names: ReadonlySet<string>): Promise<void> {
  let entries: string[];
  try {
    entries = await readdir(out);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return;
    if (code === "ENOTDIR") throw configError(`${out} is not a folder: choose another one`, error);
    throw ioError(`${out} cannot be read: ${systemReason(error)}`, error);
  }
  const other = entries.find((name) => !names.has(name));
  if (other !== undefined) {
    const isEarlier = entries.includes(SUMS_FILE);
    throw configError(
      `${out} holds ${other}, which this export does not write: choose another folder` +
        (isEarlier ? ", or name all formats at once" : ""),
    );
  }
  if (entries.length > 0 && !entries.includes(SUMS_FILE)) {
    throw configError(
      `${out} holds ${entries[0]} but no ${SUMS_FILE} of an export: choose another folder`,
    );
  }
}

async function loadSource(
  path: string,
  { input, withResize, half }: Pick<ExportSource, "input" | "withResize"> & { half: boolean },
): Promise<ExportSource> {
  const model = await awaitAddon((addon) => addon.readModelLayers(path));
  const manifest = readManifest(model.configJson);
  if (model.kind !== "autoencoder") {
    throw new FlexaeError(
      "FLEXAE_MODEL",
      `${path} is an encoder alone: give the ae.pt, or the folder of a run`,
    );
  }
  if (typeof manifest?.settings !== "object" || manifest.settings === null) {
    throw new FlexaeError("FLEXAE_MODEL", `${path} carries no config.json of this program`);
  }
  const sha256 = await checksum(path);
  const difference = half ? halfDifference(model) : undefined;
  return { path, sha256, model, manifest, input, withResize, half: difference };
}

/**
 * Writes a trained model in formats of other programs, with a model card and checksums. Each file
 * is read back and compared with the model, and `verify` runs the files, before the folder takes
 * its name.
 *
 * @param run - A run's folder, `last` for the newest in `logs/`, or an `ae.pt`.
 * @throws FlexaeError as `exportModel` does. Nothing is then written.
 */
export async function writeExport(
  run: string,
  options: ExportOptions,
  verify: Verify,
): Promise<Exported> {
  const { withResize = false, half = false, license = "unknown", signal } = options;
  const input = options.input ?? (withResize ? "uint8" : "float32");
  const began = performance.now();
  const formats = chosenFormats(options.to);
  if (input !== "float32" && input !== "uint8") {
    throw configError(`Expected float32, uint8 for input but received ${String(input)}`);
  }
  if (withResize && input !== "uint8") {
    throw configError("A graph that resizes takes uint8: leave input out");
  }
  if (withResize && !formats.some(({ name }) => name === "onnx")) {
    throw configError("Resizing is put into onnx alone: leave withResize out, or add onnx to to");
  }
  if (input === "uint8" && !formats.some(({ name }) => name === "onnx")) {
    throw configError("input uint8 means something to onnx alone: leave it out");
  }
  const whole = formats.find(({ takesHalf }) => half && !takesHalf);
  if (whole !== undefined) {
    const known = FORMATS.filter(({ takesHalf }) => takesHalf).map(({ name }) => name);
    throw configError(
      `half means something to ${known.join(", ")}, but nothing to ${whole.name}: leave one out`,
    );
  }
  if (/\p{Control}/u.test(license) || license === "") {
    throw configError("Expected one line for license");
  }
  const model = await modelFile(run);
  const out = resolve(options.out ?? join(dirname(model), "export"));
  const names = [...new Set([...formats.flatMap(({ files }) => files), CARD_FILE])];
  await checkFolder(out, new Set([...names, SUMS_FILE]));
  // First, while its weights are not in memory as an exporter has them, too.
  const native = await readReference(model, withResize).catch((error: unknown) => ({ error }));
  const source = await loadSource(model, { input, withResize, half });
  if ("error" in native) throw translateError(native.error);
  const rounded = half ? await halfOutputs(source, native.levels) : undefined;
  const outputs = rounded?.difference;
  const reference = { ...native, ...rounded?.outputs };
  const staged = await StagedFolder.create(out);
  try {
    const written = new Set<string>();
    for (const format of formats) {
      signal?.throwIfAborted();
      // The weights of safetensors are among PyTorch's files.
      if (format.files.every((file) => written.has(file))) continue;
      await format.write(source, staged.path);
      for (const file of format.files) written.add(file);
    }
    signal?.throwIfAborted();
    const verified = await verify({ source, folder: staged.path, formats, reference, signal });
    await writeFileAtomic(
      join(staged.path, CARD_FILE),
      modelCard(source, { formats, license, outputs }),
    );
    const files: ExportedFile[] = [];
    for (const name of names) {
      const path = join(staged.path, name);
      files.push({ name, bytes: (await stat(path)).size, sha256: await checksum(path) });
    }
    const sums = files.map(({ name, sha256 }) => `${sha256}  ${name}\n`).join("");
    await writeFileAtomic(join(staged.path, SUMS_FILE), sums);
    signal?.throwIfAborted();
    await staged.finish();
    const seconds = (performance.now() - began) / 1000;
    return {
      out,
      model,
      modelSha256: source.sha256,
      formats: formats.map(({ name }) => name),
      ...(source.half === undefined || outputs === undefined
        ? {}
        : { half: { ...source.half, outputs } }),
      verified,
      files,
      seconds,
    };
  } catch (error) {
    await staged.abandon();
    // The reason of a signal is whatever was given.
    throw signal?.aborted === true ? error : translateError(error);
  }
}
