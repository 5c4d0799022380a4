/** `ae.pt` and `en.pt`: TorchScript, as every run leaves it. */
import { copyFile, open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ioError, systemReason } from "../addon/errors.js";
import { checksum } from "../files/checksum.js";
import { differs } from "./bits.js";
import type { ExportFormat } from "./format.js";

async function copy(from: string, to: string): Promise<void> {
  try {
    await copyFile(from, to);
    const handle = await open(to, "r+");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
    if ((await checksum(from)) === (await checksum(to))) return;
  } catch (error) {
    throw ioError(`${from} cannot be copied: ${systemReason(error)}`, error);
  }
  throw differs(to, "its checksum");
}

export const torchscript: ExportFormat = {
  name: "torchscript",
  description: "ae.pt and en.pt as the run left them; PyTorch has deprecated the format",
  takesHalf: false,
  files: ["ae.pt", "en.pt"],
  async write({ path }, folder) {
    await copy(path, join(folder, "ae.pt"));
    await copy(join(dirname(path), "en.pt"), join(folder, "en.pt"));
  },
};
