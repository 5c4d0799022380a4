// Tables of text.

const say = (text = "") => process.stdout.write(`${text}\n`);

export const digits = (value) => value.toFixed(value >= 1000 ? 0 : value >= 100 ? 1 : 2);

/** Rows of texts, the first column to the left. */
export function showTable(title, rows) {
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)));
  say(title);
  for (const row of rows) {
    say(
      `  ${row
        .map((text, i) => (i === 0 ? text.padEnd(widths[i]) : text.padStart(widths[i])))
        .join("  ")
        .trimEnd()}`,
    );
  }
}
