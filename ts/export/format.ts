/** What a format of exported models is. */
import type { ModelLayers } from "../addon/types.js";
import type { ModelManifest } from "../runs/setting.js";
import type { InputType } from "./contract.js";
import type { HalfDifference } from "./half.js";

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
