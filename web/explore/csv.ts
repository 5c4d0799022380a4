/** Rows as a CSV file (RFC 4180). The packages that write one bring Node's streams with them. */
import { type Data, valueText } from "./data.ts";

function quoted(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Rows that are put together at a time. */
const PART = 10_000;

/** `path` and all columns of rows, in their order. */
export function toCsv(data: Data, rows: readonly number[]): Blob {
  const { columns } = data;
  const line = (cells: readonly string[]) => `${cells.map(quoted).join(",")}\n`;
  const parts = [line(["path", ...columns.map(({ name }) => name)])];
  for (let from = 0; from < rows.length; from += PART) {
    const some = rows.slice(from, from + PART);
    const lines = some.map((row) =>
      line([data.path(row), ...columns.map((column) => valueText(column, row))]),
    );
    parts.push(lines.join(""));
  }
  return new Blob(parts, { type: "text/csv" });
}
