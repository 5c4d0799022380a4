/** Exports that are run before they are there. */
import { type Exported, type ExportOptions, writeExport } from "../export/export.js";
import { verifyFiles } from "./verify_files.js";

/**
 * Writes a trained model in formats of other programs, with a model card and checksums. Before the
 * folder takes its name, each file is read back and compared with the model, and run on synthetic
 * images: what it computes must be what the native fp32 pass does, within 1e-5 of the largest
 * number of an embedding and 1e-5 of a pixel, which is from 0 to 1; of a network that adds up K
 * products, within √K · 2⁻²⁴; of one that makes more of the last bits of its input, within 16 times
 * as much as it makes of them; at most 1e-3.
 *
 * @param run - A run's folder, `last` for the newest in `logs/`, or an `ae.pt`.
 * @throws FlexaeError `FLEXAE_CONFIG` for an unknown format, an option that cannot be, or a folder
 *   that holds other files, `FLEXAE_MODEL` if the model cannot be used, `FLEXAE_IO`,
 *   `FLEXAE_INTERNAL` naming a file that holds or computes something else. Rejects with the reason
 *   of an aborted signal. Nothing is then written.
 */
export async function exportModel(run: string, options: ExportOptions): Promise<Exported> {
  return await writeExport(run, options, verifyFiles);
}
