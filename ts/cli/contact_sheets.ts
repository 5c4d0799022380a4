/** Contact sheets beside what a command has found, which is safe on disk by then. */
import { configError, translateError } from "../addon/errors.js";
import { grouped } from "./format.js";
import { type Invocation, optionText } from "./invocation.js";
import { optionNumber } from "./own_options.js";

/** What was drawn. */
export interface Drawn {
  /** The sheet, or the folder of the sheets. */
  path: string;
  /** Images on them. */
  images: number;
  /** How many of these could not be read: their tiles are grey. */
  unreadable: number;
}

/** What became of the sheets. */
export interface SheetOutcome {
  /** Null where there are none. */
  sheet: string | null;
  /** What the user should know; null if all is well. */
  warning: string | null;
}

/** Where none are wanted. */
export const NO_SHEETS: SheetOutcome = { sheet: null, warning: null };

/** The options that say whether sheets are drawn. */
export function sheetOptions(size: string): (readonly [string, string])[] {
  return [
    ["--sheet-size <n>", size],
    ["--no-sheets", "draw no contact sheets"],
  ];
}

/** Images of a sheet: a larger picture opens hardly anywhere. */
const LARGEST_SHEET = 10_000;

/** Whether sheets are wanted, and of how many images. */
export interface SheetWish {
  drawn: boolean;
  /** Undefined if it was not said. */
  images: number | undefined;
}

/** Reads `--no-sheets` and `--sheet-size`. */
export function sheetWish(invocation: Invocation): SheetWish {
  const drawn = invocation.options.sheets !== false;
  const bounds = { least: 1, most: LARGEST_SHEET, integer: true };
  const images = optionNumber(invocation, "sheetSize", bounds);
  if (!drawn && optionText(invocation, "sheetSize") !== undefined) {
    throw configError("--sheet-size means nothing with --no-sheets: leave one of them out");
  }
  return { drawn, images };
}

/** Draws sheets. What goes wrong is said, not thrown, unless the signal ended it. */
export async function drawSheets(
  draw: () => Promise<Drawn>,
  signal: AbortSignal,
): Promise<SheetOutcome> {
  try {
    const { path, images, unreadable } = await draw();
    const warning = `${grouped(unreadable)} of the ${grouped(images)} images on the contact sheets cannot be read: their places are grey`;
    return { sheet: path, warning: unreadable > 0 ? warning : null };
  } catch (error) {
    if (signal.aborted) throw error;
    const { message } = translateError(error);
    return { sheet: null, warning: `The contact sheets could not be made: ${message}` };
  }
}
