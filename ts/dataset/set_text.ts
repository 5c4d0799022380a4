/** How a set is written: a path, a pattern of paths, or several of these, with weights or without. */
import { configError } from "../addon/errors.js";
import { exists } from "../files/patterns.js";

/** One of several sets that are used as one. */
export interface SetTerm {
  /** As it was written. */
  text: string;
  /** How often its images are drawn beside those of the others; null where none is written. */
  weight: number | null;
}

/** Numbers that are no weights are told by their signs, too, so that they are named for what they are. */
const WEIGHT = /^(.+):([+-]?(?:\d+\.?\d*(?:e[+-]?\d+)?|\.\d+|nan|inf|infinity)|)$/is;

/** At the commas that are in no braces. */
function splitAtCommas(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let from = 0;
  for (let i = 0; i <= text.length; i++) {
    const sign = text[i];
    if (sign === "{") depth++;
    else if (sign === "}") depth = Math.max(0, depth - 1);
    else if (sign === undefined || (sign === "," && depth === 0)) {
      parts.push(text.slice(from, i).trim());
      from = i + 1;
    }
  }
  return parts;
}

async function termOf(text: string, argument: string): Promise<SetTerm> {
  const [, path, number] = WEIGHT.exec(text) ?? [];
  if (path === undefined || (await exists(text))) return { text, weight: null };
  const weight = Number(number === "" ? Number.NaN : number);
  if (!(weight > 0) || !Number.isFinite(weight)) {
    throw configError(`Expected a weight above 0 for ${argument} but received ${text}`);
  }
  return { text: path, weight };
}

/**
 * The terms of a set, as `a`, `a,b` or `a:0.7,b:0.3`. What is there under just the name that was
 * written is one, whatever signs its name has.
 *
 * @param argument - How a message names it.
 * @throws FlexaeError `FLEXAE_CONFIG` for a weight that is none, or weights for some alone.
 */
export async function parseSet(given: string, argument: string): Promise<SetTerm[]> {
  if (given.trim() === "") throw configError(`Expected a set for ${argument} but received none`);
  if (await exists(given)) return [{ text: given, weight: null }];
  const parts = splitAtCommas(given);
  if (parts.length > 1 && parts.includes("")) {
    throw configError(`Expected a set between all commas of ${argument} but received ${given}`);
  }
  const terms = await Promise.all(parts.map((part) => termOf(part, argument)));
  const weighted = terms.filter(({ weight }) => weight !== null).length;
  if (weighted > 0 && weighted < terms.length) {
    const { text } = terms.find(({ weight }) => weight === null) as SetTerm;
    throw configError(
      `${argument} gives weights to some sets alone: write ${text}:WEIGHT, or leave all out`,
    );
  }
  // One is all there is, whatever its weight.
  if (terms.length === 1) return [{ text: (terms[0] as SetTerm).text, weight: null }];
  return terms;
}
