/** Patterns of paths. */
import { stat } from "node:fs/promises";
import { dataError } from "../addon/errors.js";
import { shownPath } from "./paths.js";

/** More paths are named by no braces. */
const MOST = 1_000_000;

export async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null)) !== null;
}

/** Without one of these a text is no pattern, and the libraries need not be loaded. */
const SIGNS = /[*?[{(]/;

/** Whether a text may stand for several paths. */
export async function isPattern(text: string): Promise<boolean> {
  if (!SIGNS.test(text)) return false;
  const { hasMagic } = await import("glob");
  return hasMagic(text, { magicalBraces: true });
}

/**
 * The paths that a pattern stands for: braces name all they name (`{000..127}`, `{a,b}`), each of
 * which has to be there; `*`, `?` and `[…]` what there is, which may be nothing.
 *
 * @param shown - What a message calls it.
 * @returns Each once, in the order of the braces, then bytewise.
 * @throws FlexaeError `FLEXAE_DATA` naming what is missing.
 */
export async function expandPattern(text: string, shown: string): Promise<string[]> {
  const [{ glob, hasMagic }, { braceExpand }] = await Promise.all([
    import("glob"),
    import("minimatch"),
  ]);
  const paths: string[] = [];
  for (const pattern of braceExpand(text, { braceExpandMax: MOST })) {
    if (hasMagic(pattern)) {
      const found = await glob(pattern);
      paths.push(...found.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
    } else if (await exists(pattern)) {
      paths.push(pattern);
    } else {
      throw dataError(`${shown} names ${shownPath(pattern)}, which is not there`);
    }
  }
  return [...new Set(paths)];
}
