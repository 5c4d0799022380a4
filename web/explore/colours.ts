/** Which colour a point has by the value of its image. */
import type { Column, Data } from "./data.ts";

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
      column: Column;
      /** Those of colours of their own, the largest first. */
      groups: { code: number; colour: string; count: number }[];
      /** Groups that share a grey, the largest first. */
      others: { code: number; count: number }[];
      grey: string;
    }
  | { kind: "scale"; column: Column; low: number; high: number; colours: string[]; grey: string };

/**
 * Ten colours that can be told apart, also with any one kind of cones missing (Petroff, 2021,
 * arXiv:2107.02270), in the order that he found.
 */
const GROUPS = [
  "#3f90da",
  "#ffa90e",
  "#bd1f01",
  "#94a4a2",
  "#832db6",
  "#a96b59",
  "#e76300",
  "#b9ac70",
  "#717581",
  "#92dadd",
];

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
function rangeOf(values: ArrayLike<number>): [number, number] {
  const sample: number[] = [];
  const step = Math.max(1, Math.floor(values.length / 20_000));
  for (let i = 0; i < values.length; i += step) {
    const value = values[i] as number;
    if (Number.isFinite(value)) sample.push(value);
  }
  sample.sort((a, b) => a - b);
  const at = (share: number) => sample[Math.round(share * (sample.length - 1))] ?? 0;
  return [at(0.01), at(0.99)];
}

/**
 * Colours rows by a column.
 *
 * @param column - Undefined: all alike.
 * @param isShown - Whether a group is shown: colours go to the largest of those.
 */
export function colourBy(
  data: Data,
  column: Column | undefined,
  isDark: boolean,
  isShown: (code: number) => boolean,
): Colouring {
  const grey = isDark ? "#5c6470" : "#b8bec8";
  const codes = new Uint8Array(data.rows);
  if (column === undefined || column.kind === "text") {
    return { codes, colours: [isDark ? "#7cbcff" : "#0b62a8"], legend: { kind: "none" } };
  }
  if (column.kind === "category") {
    const counts = new Uint32Array(column.names.length + 1);
    for (const code of column.codes) counts[code] = (counts[code] as number) + 1;
    const groups = column.names.map((_, i) => ({ code: i + 1, count: counts[i + 1] as number }));
    groups.sort((a, b) => b.count - a.count || a.code - b.code);
    const first = groups.filter(({ code }) => isShown(code)).slice(0, GROUPS.length);
    const own = new Uint8Array(column.names.length + 1);
    for (const [i, { code }] of first.entries()) own[code] = i + 1;
    for (let row = 0; row < data.rows; row++) {
      codes[row] = own[column.codes[row] as number] as number;
    }
    return {
      codes,
      colours: [grey, ...GROUPS.slice(0, Math.max(1, first.length))],
      legend: {
        kind: "groups",
        column,
        groups: first.map(({ code, count }, i) => ({ code, count, colour: GROUPS[i] as string })),
        others: groups.filter(({ code }) => own[code] === 0),
        grey,
      },
    };
  }
  const [low, high] = rangeOf(column.values);
  const colours = scaleOf(isDark);
  const span = high - low || 1;
  for (let row = 0; row < data.rows; row++) {
    const share = ((column.values[row] as number) - low) / span;
    if (Number.isNaN(share)) continue;
    codes[row] = 1 + Math.min(STEPS - 1, Math.max(0, Math.floor(share * STEPS)));
  }
  return {
    codes,
    colours: [grey, ...colours],
    legend: { kind: "scale", column, low, high, colours, grey },
  };
}
