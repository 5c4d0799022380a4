/** Tables as Parquet files, by hyparquet-writer. */
import type { FileMetaData, RowGroup, SchemaElement } from "hyparquet";
import { ByteWriter } from "hyparquet-writer";
import { writeColumn } from "hyparquet-writer/src/column.js";
import { writeMetadata } from "hyparquet-writer/src/metadata.js";
import { StagedFile } from "../files/staged.js";
import { FileTable } from "./file_table.js";
import { type EmbeddingRows, joinRows, type TableOrigin } from "./table.js";

/** Under which a file's metadata holds its {@link TableOrigin}. */
export const ORIGIN_KEY = "flexible-autoencoder";

/** "PAR1", with which a file begins and ends. */
const MAGIC = 0x31524150;

/** A row group has so many numbers in its embeddings: what a reader takes at once. */
const GROUP_NUMBERS = 1 << 22;

type ColumnData = Parameters<typeof writeColumn>[0]["pageData"];

const REQUIRED = "REQUIRED";
const text = (name: string, optional = false): SchemaElement => ({
  name,
  type: "BYTE_ARRAY",
  converted_type: "UTF8",
  repetition_type: optional ? "OPTIONAL" : REQUIRED,
});
const number = (name: string, type: "INT32" | "FLOAT"): SchemaElement => ({
  name,
  type,
  repetition_type: REQUIRED,
});

/** A column without levels: every row has a value. */
function plain(values: unknown[] | Int32Array | Float32Array): ColumnData {
  return {
    values,
    definitionLevels: [],
    repetitionLevels: [],
    maxDefinitionLevel: 0,
  } as ColumnData;
}

/** A column in which values may be missing. */
function optional(values: readonly (string | null)[]): ColumnData {
  return {
    values: values as string[],
    definitionLevels: values.map((value) => (value === null ? 0 : 1)),
    repetitionLevels: [],
    maxDefinitionLevel: 1,
  };
}

/** A column of lists of `dims` numbers: those of all rows, and where each row begins. */
function lists(values: Float32Array, dims: number): ColumnData {
  const repetition = new Uint8Array(values.length).fill(1);
  for (let i = 0; i < values.length; i += dims) repetition[i] = 0;
  return {
    values: values as unknown as number[],
    // Typed arrays serve as well, and take an eighth of the memory.
    repetitionLevels: repetition as unknown as number[],
    definitionLevels: new Uint8Array(values.length).fill(1) as unknown as number[],
    maxDefinitionLevel: 1,
  };
}

interface Column {
  /** From below the root to what holds values. */
  schema: SchemaElement[];
  encoding?: "PLAIN";
  data: (rows: EmbeddingRows) => ColumnData;
}

function columnsOf({ dims, loss, sha256, file }: TableOrigin): Column[] {
  const columns: Column[] = [
    { schema: [text("path")], encoding: "PLAIN", data: (rows) => plain(rows.paths) },
    { schema: [text("set", true)], data: (rows) => optional(rows.sets) },
    { schema: [text("class", true)], data: (rows) => optional(rows.classes) },
    {
      schema: [
        { name: "embedding", converted_type: "LIST", num_children: 1, repetition_type: REQUIRED },
        { name: "list", num_children: 1, repetition_type: "REPEATED" },
        number("element", "FLOAT"),
      ],
      encoding: "PLAIN",
      data: (rows) => lists(rows.embeddings, dims),
    },
  ];
  if (loss) {
    columns.push({
      schema: [number("loss", "FLOAT")],
      encoding: "PLAIN",
      data: (rows) => plain(rows.losses as Float32Array),
    });
  }
  if (file) {
    const ints = (values: Int32Array | null) => plain(values as Int32Array);
    columns.push(
      { schema: [number("width", "INT32")], data: (rows) => ints(rows.widths) },
      { schema: [number("height", "INT32")], data: (rows) => ints(rows.heights) },
      { schema: [number("bytes", "INT32")], encoding: "PLAIN", data: (rows) => ints(rows.bytes) },
    );
  }
  if (sha256) {
    columns.push({
      schema: [text("sha256")],
      encoding: "PLAIN",
      data: (rows) => plain(rows.sha256 as string[]),
    });
  }
  return columns;
}

/**
 * Writes a row group at a time. `ParquetWriter` of the library takes lists as arrays of arrays, and half a
 * microsecond a number; its own parts below that take typed arrays as they are.
 */
export class ParquetTable extends FileTable {
  #origin: TableOrigin;
  #columns: Column[];
  #schema: SchemaElement[];
  #root: SchemaElement;
  #bytes = new ByteWriter();
  #waiting: EmbeddingRows[] = [];
  #waitingRows = 0;
  #rows = 0;
  #groups: RowGroup[] = [];

  private constructor(file: StagedFile, origin: TableOrigin) {
    super(file);
    this.#origin = origin;
    this.#columns = columnsOf(origin);
    this.#root = { name: "root", num_children: this.#columns.length };
    this.#schema = [this.#root, ...this.#columns.flatMap(({ schema }) => schema)];
    this.#bytes.appendUint32(MAGIC);
  }

  static async create(path: string, origin: TableOrigin): Promise<ParquetTable> {
    return new ParquetTable(await StagedFile.create(path), origin);
  }

  async write(rows: EmbeddingRows): Promise<void> {
    if (rows.paths.length === 0) return;
    this.#waiting.push(rows);
    this.#waitingRows += rows.paths.length;
    if (this.#waitingRows * this.#origin.dims >= GROUP_NUMBERS || this.#waitingRows >= 1 << 16) {
      await this.#writeGroup();
    }
  }

  override async finish(): Promise<void> {
    if (this.#waitingRows > 0) await this.#writeGroup();
    writeMetadata(this.#bytes, {
      version: 2,
      created_by: `flexible-autoencoder ${this.#origin.version}`,
      schema: this.#schema,
      num_rows: BigInt(this.#rows),
      row_groups: this.#groups,
      key_value_metadata: [{ key: ORIGIN_KEY, value: JSON.stringify(this.#origin) }],
    } as unknown as FileMetaData);
    this.#bytes.appendUint32(MAGIC);
    await this.#flush();
    await super.finish();
  }

  async #writeGroup(): Promise<void> {
    const rows = joinRows(this.#waiting);
    this.#waiting = [];
    this.#waitingRows = 0;
    const start = this.#bytes.offset;
    const chunks = this.#columns.map(({ schema, encoding, data }) => {
      const { chunk } = writeColumn({
        writer: this.#bytes,
        column: {
          columnName: schema.map(({ name }) => name).join("."),
          element: schema.at(-1) as SchemaElement,
          schemaPath: [this.#root, ...schema],
          codec: "UNCOMPRESSED",
          compressors: {},
          stats: false,
          pageSize: 0,
          columnIndex: false,
          offsetIndex: false,
          ...(encoding === undefined ? {} : { encoding }),
        },
        pageData: data(rows),
      });
      return chunk;
    });
    const count = rows.paths.length;
    this.#rows += count;
    this.#groups.push({
      columns: chunks,
      total_byte_size: chunks.reduce(
        (sum, { meta_data }) => sum + (meta_data?.total_uncompressed_size ?? 0n),
        0n,
      ),
      num_rows: BigInt(count),
      total_compressed_size: BigInt(this.#bytes.offset - start),
    });
    await this.#flush();
  }

  /** Offsets go on counting from the file's beginning. */
  async #flush(): Promise<void> {
    await this.file.append(this.#bytes.getBytes());
    this.#bytes.index = 0;
  }
}
