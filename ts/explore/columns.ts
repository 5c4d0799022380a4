/** What is known of images, as columns of a page. */
import type { NamedColumn } from "../embeddings/other_columns.js";
import type { EmbeddingTable } from "../embeddings/table.js";
import type { Packer } from "./pack.js";
import type { WireColumn } from "./wire.js";

/** More different texts are no categories, ... */
const MOST_CATEGORIES = 1000;
/** ... but where they are what images are sorted by: as many as there are codes. */
const GROUPS = /^(class|set|cluster)\b/i;
const MOST_GROUPS = 2 ** 16 - 1;
/** Columns of whole numbers that count nothing: each number is a name. */
const NUMBERS_AS_NAMES = /^(class|cluster|label|group|split|fold|target)(_id|s)?\b/i;

type Values = ArrayLike<string | number | null>;

function codesOf(values: Values, names: readonly string[]): Uint16Array {
  const codes = new Map(names.map((name, i) => [name, i + 1]));
  const value = (i: number) => values[i] ?? null;
  return Uint16Array.from({ length: values.length }, (_, i) =>
    value(i) === null ? 0 : (codes.get(String(value(i))) as number),
  );
}

/** Different values, as text, in the order of numbers where they are, else of the alphabet. */
function namesOf(values: Values, most: number): string[] {
  const names = new Set<string>();
  for (let i = 0; i < values.length && names.size <= most; i++) {
    const value = values[i] ?? null;
    if (value !== null) names.add(String(value));
  }
  return [...names].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
}

/** Digits of a number in single precision that can be relied on. */
const SINGLE_DIGITS = 7;

/** Numbers in single precision, if those that come back of it are the same, else in double. */
function numbersOf(values: Values): Float32Array | Float64Array {
  if (values instanceof Float32Array) return values;
  const numbers = Float64Array.from({ length: values.length }, (_, i) => {
    const value = values[i] ?? null;
    return value === null ? Number.NaN : Number(value);
  });
  const isSingle = numbers.every(
    (value) =>
      Number.isNaN(value) || Number(Math.fround(value).toPrecision(SINGLE_DIGITS)) === value,
  );
  return isSingle ? Float32Array.from(numbers) : numbers;
}

function toWire(packer: Packer, name: string, values: Values): WireColumn | null {
  let [known, whole, numeric] = [0, true, true];
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? null;
    if (value === null) continue;
    known++;
    numeric &&= typeof value === "number";
    whole &&= Number.isInteger(value);
  }
  if (known === 0) return null;
  const isCategory = !numeric || (whole && NUMBERS_AS_NAMES.test(name));
  if (isCategory) {
    const isGroup = GROUPS.test(name);
    const most = isGroup ? MOST_GROUPS : MOST_CATEGORIES;
    const names = namesOf(values, most);
    // Where nearly every row has a text of its own, colours and lists of them tell nothing.
    const isTelling = isGroup || names.length <= 64 || 2 * names.length <= known;
    if (names.length <= most && isTelling) {
      return { kind: "category", name, names, codes: packer.add(codesOf(values, names)) };
    }
  }
  if (numeric) return { kind: "number", name, values: packer.add(numbersOf(values)) };
  const texts = Array.from(values, (value) => (value === null ? null : String(value)));
  return { kind: "text", name, text: packer.addTexts(texts) };
}

/** Columns of a table, and others that are in the order of its rows. Empty ones are left out. */
export function packColumns(
  packer: Packer,
  table: EmbeddingTable,
  others: readonly NamedColumn[],
): WireColumn[] {
  const { classes, sets, losses, widths, heights, bytes, sha256 } = table;
  const own: [string, Values | null][] = [
    ["class", classes],
    ["set", sets],
    ["loss", losses],
    ["width", widths],
    ["height", heights],
    ["bytes", bytes],
    ["sha256", sha256],
  ];
  const all = [...own, ...others.map(({ name, values }) => [name, values] as const)];
  return all.flatMap(([name, values]) => (values && toWire(packer, name, values)) ?? []);
}
