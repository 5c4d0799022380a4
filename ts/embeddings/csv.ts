/** Tables as CSV files. */
import { stringify } from "csv-stringify/sync";
import { StagedFile } from "../files/staged.js";
import { FileTable } from "./file_table.js";
import type { EmbeddingRows, TableOrigin } from "./table.js";

interface Column {
  name: string;
  /** Its value in row i. */
  of: (rows: EmbeddingRows, i: number) => string | number | null | undefined;
}

const LOSS: Column = { name: "loss", of: ({ losses }, i) => losses?.[i] };
const FILE: readonly Column[] = [
  { name: "width", of: ({ widths }, i) => widths?.[i] },
  { name: "height", of: ({ heights }, i) => heights?.[i] },
  { name: "bytes", of: ({ bytes }, i) => bytes?.[i] },
];
const SHA256: Column = { name: "sha256", of: ({ sha256 }, i) => sha256?.[i] };

export class CsvTable extends FileTable {
  #columns: readonly Column[];

  private constructor(file: StagedFile, columns: readonly Column[]) {
    super(file);
    this.#columns = columns;
  }

  /** As lightly-train writes it: `filename`, `embedding_0`, …; behind them what was asked for besides. */
  static async create(path: string, { dims, loss, sha256 }: TableOrigin): Promise<CsvTable> {
    return await CsvTable.#open(path, [
      { name: "filename", of: ({ paths }, i) => paths[i] },
      ...Array.from({ length: dims }, (_, d) => ({
        name: `embedding_${d}`,
        of: ({ embeddings }: EmbeddingRows, i: number) => embeddings[i * dims + d],
      })),
      ...(loss ? [LOSS] : []),
      ...(sha256 ? [SHA256] : []),
    ]);
  }

  /** All of a row but its embedding: what lies beside an `.npy` file. */
  static async ofNames(path: string, { loss, sha256, file }: TableOrigin): Promise<CsvTable> {
    return await CsvTable.#open(path, [
      { name: "path", of: ({ paths }, i) => paths[i] },
      { name: "set", of: ({ sets }, i) => sets[i] },
      { name: "class", of: ({ classes }, i) => classes[i] },
      ...(loss ? [LOSS] : []),
      ...(file ? FILE : []),
      ...(sha256 ? [SHA256] : []),
    ]);
  }

  static async #open(path: string, columns: readonly Column[]): Promise<CsvTable> {
    const file = await StagedFile.create(path);
    await file.append(stringify([columns.map(({ name }) => name)]));
    return new CsvTable(file, columns);
  }

  async write(rows: EmbeddingRows): Promise<void> {
    const records = rows.paths.map((_, i) => this.#columns.map(({ of }) => of(rows, i)));
    await this.file.append(stringify(records));
  }
}
