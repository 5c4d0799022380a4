/** Tables as JSON Lines: an object a row. */
import { StagedFile } from "../files/staged.js";
import { FileTable } from "./file_table.js";
import type { EmbeddingRows, TableOrigin } from "./table.js";

export class JsonlTable extends FileTable {
  #dims: number;

  private constructor(file: StagedFile, dims: number) {
    super(file);
    this.#dims = dims;
  }

  static async create(path: string, { dims }: TableOrigin): Promise<JsonlTable> {
    return new JsonlTable(await StagedFile.create(path), dims);
  }

  async write(rows: EmbeddingRows): Promise<void> {
    let lines = "";
    for (const [i, path] of rows.paths.entries()) {
      const row = {
        path,
        set: rows.sets[i],
        class: rows.classes[i],
        embedding: Array.from(rows.embeddings.subarray(i * this.#dims, (i + 1) * this.#dims)),
        ...(rows.losses === null ? {} : { loss: rows.losses[i] }),
        ...(rows.widths === null ? {} : { width: rows.widths[i] }),
        ...(rows.heights === null ? {} : { height: rows.heights[i] }),
        ...(rows.bytes === null ? {} : { bytes: rows.bytes[i] }),
        ...(rows.sha256 === null ? {} : { sha256: rows.sha256[i] }),
      };
      lines += `${JSON.stringify(row)}\n`;
    }
    await this.file.append(lines);
  }
}
