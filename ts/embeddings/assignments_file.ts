/** `path,class,cluster,distance,silhouette`, a row an image, as CSV or Parquet. */
import { extname } from "node:path";
import { stringify } from "csv-stringify/sync";
import type { SchemaElement } from "hyparquet";
import { ByteWriter, ParquetWriter } from "hyparquet-writer";
import { StagedFile } from "../files/staged.js";

/** Rows of the file; entry i of each is of the same image. */
export interface AssignedRows {
  paths: readonly string[];
  classes: readonly (string | null)[];
  labels: Int32Array;
  distances: Float32Array;
  /** Null where none was computed. */
  silhouettes: readonly (number | null)[];
}

const COLUMNS = ["path", "class", "cluster", "distance", "silhouette"];

/** Rows that are made text, or a row group, at once. */
const ROWS_AT_ONCE = 1 << 16;

const text = (name: string, repetition_type: "REQUIRED" | "OPTIONAL"): SchemaElement => ({
  name,
  type: "BYTE_ARRAY",
  converted_type: "UTF8",
  repetition_type,
});
const SCHEMA: SchemaElement[] = [
  { name: "root", num_children: COLUMNS.length },
  text("path", "REQUIRED"),
  text("class", "OPTIONAL"),
  { name: "cluster", type: "INT32", repetition_type: "REQUIRED" },
  { name: "distance", type: "FLOAT", repetition_type: "REQUIRED" },
  { name: "silhouette", type: "DOUBLE", repetition_type: "OPTIONAL" },
];

/** Makes rows bytes. */
interface Format {
  begin(): string | Uint8Array;
  rows(rows: AssignedRows): string | Uint8Array;
  end(): string | Uint8Array;
}

function csvFormat(): Format {
  return {
    begin: () => stringify([COLUMNS]),
    rows: ({ paths, classes, labels, distances, silhouettes }) =>
      stringify(
        paths.map((path, i) => [path, classes[i], labels[i], distances[i], silhouettes[i]]),
      ),
    end: () => "",
  };
}

function parquetFormat(): Format {
  const bytes = new ByteWriter();
  const writer = new ParquetWriter({ writer: bytes, schema: SCHEMA, codec: "UNCOMPRESSED" });
  /** What was written since; offsets go on counting from the file's beginning. */
  const taken = () => {
    const written = bytes.getBytes();
    bytes.index = 0;
    return written;
  };
  return {
    begin: taken,
    rows({ paths, classes, labels, distances, silhouettes }) {
      const data = [paths, classes, labels, distances, silhouettes];
      writer.write({
        // The least and the greatest path of a row group are of use to nobody.
        columnData: COLUMNS.map((name, i) => ({
          name,
          data: data[i] as unknown[],
          statistics: name !== "path",
        })),
        rowGroupSize: ROWS_AT_ONCE,
      });
      return taken();
    },
    end() {
      writer.finish();
      return taken();
    },
  };
}

/** A file of assignments that is written a piece at a time, and is whole or not there. */
export class AssignmentsFile {
  readonly #file: StagedFile;
  readonly #format: Format;

  private constructor(file: StagedFile, format: Format) {
    this.#file = file;
    this.#format = format;
  }

  /** @throws FlexaeError `FLEXAE_IO` if it cannot be written; so do the others. */
  static async create(out: string): Promise<AssignmentsFile> {
    const file = await StagedFile.create(out);
    const format = extname(out).toLowerCase() === ".csv" ? csvFormat() : parquetFormat();
    await file.append(format.begin());
    return new AssignmentsFile(file, format);
  }

  /** Appends rows. */
  async write(rows: AssignedRows): Promise<void> {
    for (let from = 0; from < rows.paths.length; from += ROWS_AT_ONCE) {
      const to = from + ROWS_AT_ONCE;
      await this.#file.append(
        this.#format.rows({
          paths: rows.paths.slice(from, to),
          classes: rows.classes.slice(from, to),
          labels: rows.labels.subarray(from, to),
          distances: rows.distances.subarray(from, to),
          silhouettes: rows.silhouettes.slice(from, to),
        }),
      );
    }
  }

  /** The file is complete, and takes its name. */
  async finish(): Promise<void> {
    await this.#file.append(this.#format.end());
    await this.#file.finish();
  }

  /** Leaves nothing behind. */
  async abandon(): Promise<void> {
    await this.#file.abandon();
  }
}
