import type { StagedFile } from "../files/staged.js";
import type { EmbeddingRows, TableWriter } from "./table.js";

/** A table that is one file. */
export abstract class FileTable implements TableWriter {
  protected readonly file: StagedFile;

  protected constructor(file: StagedFile) {
    this.file = file;
  }

  abstract write(rows: EmbeddingRows): Promise<void>;

  async finish(): Promise<void> {
    await this.file.finish();
  }

  async abandon(): Promise<void> {
    await this.file.abandon();
  }
}
