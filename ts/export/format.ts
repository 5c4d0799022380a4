/** What a format of exported models is. */
import type { ModelLayers } from "../addon/types.js";
import type { ModelManifest } from "../runs/setting.js";
import type { InputType } from "./contract.js";
import type { HalfDifference } from "./half.js";
import type { OutputDifference } from "./native_outputs.js";
import type { Reference } from "./reference.js";

/** What is exported. */
export interface ExportSource {
  /** The autoencoder's file, `ae.pt`. */
  path: string;
  /** That file's SHA-256, in hexadecimal digits, by which its exports are known. */
  sha256: string;
  /** Its layers and weights. */
  model: ModelLayers;
  /** What it carries in its `config.json`. */
  manifest: ModelManifest;
  /** Of what the inputs of graphs are. */
  input: InputType;
  /** Whether graphs resize. */
  withResize: boolean;
  /** What fp16 does to the weights, where they are to be written in it. */
  half?: HalfDifference | undefined;
}

/** A format: a file in this room exports one, and `formats.ts` lists it. */
export interface ExportFormat {
  readonly name: string;
  /** For `--help`. */
  readonly description: string;
  /** Whether it can hold weights in fp16. */
  readonly takesHalf: boolean;
  /** Names of the files it writes. */
  readonly files: readonly string[];
  /**
   * Writes its files into the folder, reads them back and compares them with the source.
   *
   * @throws FlexaeError `FLEXAE_IO` if a file cannot be written, `FLEXAE_INTERNAL` if what was read
   *   back is not what was meant, `FLEXAE_MODEL` if the source lacks something.
   */
  write(source: ExportSource, folder: string): Promise<void>;
}

/** That files of a format compute what the native pass does. */
export interface Verified extends OutputDifference {
  /** The format. */
  format: string;
  /** Names of the files that were run. */
  files: string[];
  /** Of those too large to be read whole: their weights were compared bit by bit, and that is all. */
  tooLarge: string[];
  /** On how many synthetic images; of the differences, the largest count. */
  images: number;
}

/** What a check of files is told. */
export interface Verification {
  source: ExportSource;
  /** Where the files are. */
  folder: string;
  formats: readonly ExportFormat[];
  reference: Reference;
  signal?: AbortSignal | undefined;
}

/**
 * Runs what was written, format by format. It is given to this room: reading models of others is
 * for rooms above.
 *
 * @throws FlexaeError `FLEXAE_INTERNAL` naming a file that computes something else.
 */
export type Verify = (given: Verification) => Promise<Verified[]>;
