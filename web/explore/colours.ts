/** Which colour a point has by the value of its image. */
import type { CategoryColumn, Column, Data, NumberColumn } from "./data.ts";

/** Colours of points, and what they stand for. */
export interface Colouring {
  /** Of each row, which of the colours. */
  codes: Uint8Array;
  colours: string[];
  legend: Legend;
}

/** What colours stand for. */
export type Legend =
  | { kind: "none" }
  | {
      kind: "groups";
      column: CategoryColumn;
      /** The largest first; that of images without a group, whose code is 0, last. */
      groups: { code: number; colour: string; count: number }[];
    }
  | {
      kind: "scale";
      column: Column;
      low: number;
      high: number;
      /** Whether there are values beyond the ends. */
      isCut: boolean;
      colours: string[];
      grey: string;
    };

/** The colours of a page, light or dark. */
export interface Palette {
  isDark: boolean;
  /** Of groups. */
  groups: readonly string[];
  /** Of what has no group, or no colour of its own. */
  none: string;
  /** Of all, where nothing is told apart. */
  plain: string;
}

/** Viridis (Smith and van der Walt, 2015): brightness grows evenly, for all kinds of sight. */
const VIRIDIS = [
  "#440154",
  "#482878",
  "#3e4989",
  "#31688e",
  "#26828e",
  "#1f9e89",
  "#35b779",
  "#6ece58",
  "#b5de2b",
  "#fde725",
];
/** Colours of a scale. */
const STEPS = 48;

function mix(a: string, b: string, share: number): string {
  const part = (colour: string, at: number) => Number.parseInt(colour.slice(at, at + 2), 16);
  const mixed = [1, 3, 5].map((at) => {
    const value = Math.round(part(a, at) * (1 - share) + part(b, at) * share);
    return value.toString(16).padStart(2, "0");
  });
  return `#${mixed.join("")}`;
}

/** A scale without the end that would not be seen on the ground. */
function scaleOf(isDark: boolean): string[] {
  const stops = isDark ? VIRIDIS.slice(1) : VIRIDIS.slice(0, -1).reverse();
  return Array.from({ length: STEPS }, (_, i) => {
    const at = (i / (STEPS - 1)) * (stops.length - 1);
    const below = Math.min(stops.length - 2, Math.floor(at));
    return mix(stops[below] as string, stops[below + 1] as string, at - below);
  });
}

/** The values between which nearly all lie: a few far out would take the colours of the rest. */
function rangeOf(values: ArrayLike<number>): [low: number, high: number, isCut: boolean] {
  const sample: number[] = [];
  const step = Math.max(1, Math.floor(values.length / 20_000));
  let [least, most] = [Infinity, -Infinity];
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (!Number.isFinite(value)) continue;
    if (value < least) least = value;
    if (value > most) most = value;
    if (i % step === 0) sample.push(value);
  }
  sample.sort((a, b) => a - b);
  const at = (share: number) => sample[Math.round(share * (sample.length - 1))] ?? 0;
  const [low, high] = [at(0.01), at(0.99)];
  // Of a value that nearly all have, the rare others are what is looked for.
  return low === high ? [least, most, false] : [low, high, low > least || high < most];
}

/** Groups in the order of the legend, the largest first. */
function rankedGroups({ codes, names }: CategoryColumn): { code: number; count: number }[] {
  const counts = new Uint32Array(names.length + 1);
  for (const code of codes) counts[code] = (counts[code] as number) + 1;
  const groups = names.map((_, i) => ({ code: i + 1, count: counts[i + 1] as number }));
  groups.sort((a, b) => b.count - a.count || a.code - b.code);
  const without = counts[0] as number;
  return without > 0 ? [...groups, { code: 0, count: without }] : groups;
}

/**
 * Which colour each group has: the largest always theirs. Another that is shown gets that of one
 * which is not.
 */
function shareOut(
  ranked: readonly { code: number }[],
  colours: number,
  isShown: (code: number) => boolean,
): Map<number, number> {
  const all = ranked.filter(({ code }) => code !== 0);
  const own = new Map(all.slice(0, colours).map(({ code }, i) => [code, i]));
  const wanting = all.slice(colours).filter(({ code }) => isShown(code));
  const spare = [...own].filter(([code]) => !isShown(code));
  for (const { code } of wanting) {
    const [from, colour] = spare.shift() ?? [];
    if (from === undefined || colour === undefined) break;
    own.delete(from);
    own.set(code, colour);
  }
  return own;
}

function colourGroups(
  column: CategoryColumn,
  { groups, none }: Palette,
  isShown: (code: number) => boolean,
): Colouring {
  const ranked = rankedGroups(column);
  const own = shareOut(ranked, groups.length, isShown);
  const table = new Uint8Array(column.names.length + 1);
  for (const [code, colour] of own) table[code] = colour + 1;
  const codes = Uint8Array.from(column.codes, (code) => table[code] as number);
  return {
    codes,
    colours: [none, ...groups],
    legend: {
      kind: "groups",
      column,
      groups: ranked.map(({ code, count }) => {
        const colour = own.get(code);
        return { code, count, colour: colour === undefined ? none : (groups[colour] as string) };
      }),
    },
  };
}

function colourNumbers(column: NumberColumn, { isDark, none }: Palette): Colouring {
  const [low, high, isCut] = rangeOf(column.values);
  const colours = scaleOf(isDark);
  const span = high - low || 1;
  const codes = new Uint8Array(column.values.length);
  for (let row = 0; row < codes.length; row++) {
    const share = ((column.values[row] as number) - low) / span;
    if (Number.isNaN(share)) continue;
    codes[row] = 1 + Math.min(STEPS - 1, Math.max(0, Math.floor(share * STEPS)));
  }
  return {
    codes,
    colours: [none, ...colours],
    legend: { kind: "scale", column, low, high, isCut, colours, grey: none },
  };
}

/**
 * Colours rows by a column.
 *
 * @param column - Undefined: all alike.
 * @param isShown - Whether a group is shown, by its code.
 */
export function colourBy(
  data: Data,
  column: Column | undefined,
  palette: Palette,
  isShown: (code: number) => boolean,
): Colouring {
  switch (column?.kind) {
    case "category":
      return colourGroups(column, palette, isShown);
    case "number":
      return colourNumbers(column, palette);
    default: {
      const codes = new Uint8Array(data.rows);
      return { codes, colours: [palette.plain], legend: { kind: "none" } };
    }
  }
}
