/** Models of Keras: `.keras` of Keras 3, and `.h5` of Keras 2, by the names of the ancestor. */
import { join } from "node:path";
import type { ExportFormat } from "./format.js";
import { writeKerasArchive } from "./keras_archive.js";
import { kerasLayers } from "./keras_layers.js";
import { writeLegacyKeras } from "./keras_legacy.js";

export const keras: ExportFormat = {
  name: "keras",
  description: "models of Keras 3 and of Keras 2, of images N×H×W×C",
  takesHalf: false,
  files: ["ae.keras", "en.keras", "ae_weights.h5", "en_weights.h5"],
  async write({ model, manifest }, folder) {
    const encoder = model.layers.filter(({ part }) => part === "encoder");
    const parts = [
      ["ae", model.layers],
      ["en", encoder],
    ] as const;
    // While one waits for the disk, the next is written.
    const written = await Promise.allSettled(
      parts.flatMap(([stem, part]) => {
        const layers = kerasLayers(part, manifest.model.batchNormMomentum);
        return [
          writeKerasArchive(join(folder, `${stem}.keras`), stem, model.inputShape, layers),
          writeLegacyKeras(join(folder, `${stem}_weights.h5`), stem, model.inputShape, layers),
        ];
      }),
    );
    for (const result of written) if (result.status === "rejected") throw result.reason;
  },
};
