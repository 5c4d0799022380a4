/** `model.py` beside the weights: the network as a module of PyTorch. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "../files/atomic.js";
import { differs } from "./bits.js";
import type { ExportFormat } from "./format.js";
import { pytorchSource } from "./pytorch_source.js";
import { safetensors, writeWeightFiles } from "./safetensors.js";

const SOURCE_FILE = "model.py";

export const pytorch: ExportFormat = {
  name: "pytorch",
  description: "model.py, a module that needs PyTorch alone, the weights, and config.json",
  takesHalf: true,
  files: [SOURCE_FILE, ...safetensors.files],
  async write(source, folder) {
    await writeWeightFiles(source, folder);
    const path = join(folder, SOURCE_FILE);
    const text = pytorchSource(source);
    await writeFileAtomic(path, text);
    if ((await readFile(path, "utf8")) !== text) throw differs(path, "its text");
  },
};
