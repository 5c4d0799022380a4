/** Tables as CSV files. */
import { stringify } from "csv-stringify/sync";
import { StagedFile } from "../files/staged.js";
import type { EmbeddingRows, TableOrigin, TableWriter } from "./table.js";

/** As lightly-train writes them: `filename`, `embedding_0`, …; behind them what was asked for besides. */
export class CsvTable implements TableWriter {
  #file: StagedFile;
  #origin: TableOrigin;

  private constructor(file: StagedFile, origin: TableOrigin) {
    this.#file = file;
    this.#origin = origin;
  }

  static async create(path: string, origin: TableOrigin): Promise<CsvTable> {
    const file = await StagedFile.create(path);
    const names = Array.from({ length: origin.dims }, (_, i) => `embedding_${i}`);
    const header = ["filename", ...names];
    if (origin.loss) header.push("loss");
    if (origin.sha256) header.push("sha256");
    await file.append(stringify([header]));
    return new CsvTable(file, origin);
  }

  async write(rows: EmbeddingRows): Promise<void> {
    const { dims } = this.#origin;
    const records = rows.paths.map((path, i) => {
      const record: (string | number)[] = [path];
      for (let j = i * dims; j < (i + 1) * dims; ++j) record.push(rows.embeddings[j] as number);
      if (rows.losses !== null) record.push(rows.losses[i] as number);
      if (rows.sha256 !== null) record.push(rows.sha256[i] as string);
      return record;
    });
    await this.#file.append(stringify(records));
  }

  async finish(): Promise<void> {
    await this.#file.finish();
  }

  async abandon(): Promise<void> {
    await this.#file.abandon();
  }
}

/** All of a row but its embedding: what lies beside an `.npy` file. */
export class NamesTable implements TableWriter {
  #file: StagedFile;

  private constructor(file: StagedFile) {
    this.#file = file;
  }

  static async create(path: string, origin: TableOrigin): Promise<NamesTable> {
    const file = await StagedFile.create(path);
    const header = ["path", "set", "class"];
    if (origin.loss) header.push("loss");
    header.push("width", "height", "bytes");
    if (origin.sha256) header.push("sha256");
    await file.append(stringify([header]));
    return new NamesTable(file);
  }

  async write(rows: EmbeddingRows): Promise<void> {
    const records = rows.paths.map((path, i) => [
      path,
      rows.sets[i],
      rows.classes[i],
      ...(rows.losses === null ? [] : [rows.losses[i]]),
      rows.widths[i],
      rows.heights[i],
      rows.bytes[i],
      ...(rows.sha256 === null ? [] : [rows.sha256[i]]),
    ]);
    await this.#file.append(stringify(records));
  }

  async finish(): Promise<void> {
    await this.#file.finish();
  }

  async abandon(): Promise<void> {
    await this.#file.abandon();
  }
}
