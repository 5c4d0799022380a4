/** How a set is written: a path, a pattern of paths, or several of these, with weights or without. */
import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { configError, dataError } from "../addon/errors.js";
import { shownPath } from "../files/paths.js";

/** One of several sets that are used as one. */
export interface SetTerm {
  /** As it was written. */
  text: string;
  /** How often its images are drawn beside those of the others; null where none is written. */
  weight: number | null;
}

/** Numbers that are no weights are told by their signs, too, so that they are named for what they are. */
const WEIGHT = /^(.+):([+-]?(?:\d+\.?\d*(?:e[+-]?\d+)?|\.\d+|nan|inf|infinity)|)$/is;

const exists = async (path: string): Promise<boolean> =>
  (await stat(resolve(path)).catch(() => null)) !== null;

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

/** Without one of these a text is no pattern, and the libraries need not be loaded. */
const SIGNS = /[*?[{(]/;

/** Whether a term may stand for several paths. */
export async function isPattern(text: string): Promise<boolean> {
  if (!SIGNS.test(text)) return false;
  const { hasMagic } = await import("glob");
  return hasMagic(text, { magicalBraces: true });
}

/**
 * The paths that a pattern stands for: braces name all they name (`{000..127}`, `{a,b}`), each of
 * which has to be there; `*`, `?` and `[…]` what there is.
 *
 * @returns Absolute, in the order of the braces, then bytewise.
 * @throws FlexaeError `FLEXAE_DATA` naming what is missing.
 */
export async function expandPattern(text: string, argument: string): Promise<string[]> {
  const [{ glob, hasMagic }, { braceExpand }] = await Promise.all([
    import("glob"),
    import("minimatch"),
  ]);
  const paths: string[] = [];
  for (const pattern of braceExpand(text, { braceExpandMax: 1_000_000 })) {
    if (!hasMagic(pattern)) {
      if (!(await exists(pattern))) {
        throw dataError(
          `${argument} ${shownPath(text)} names ${shownPath(pattern)}, which is not there`,
        );
      }
      paths.push(resolve(pattern));
      continue;
    }
    const found = await glob(pattern, { absolute: true });
    paths.push(...found.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
  }
  if (paths.length === 0) {
    throw dataError(
      `${argument} ${shownPath(text)} matches nothing: quote it, or name another set`,
    );
  }
  return [...new Set(paths)];
}
