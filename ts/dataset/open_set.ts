/** Opens a set of images, whatever it lies in. */
import { stat } from "node:fs/promises";
import { dirname, resolve, sep } from "node:path";
import { dataError, systemReason } from "../addon/errors.js";
import { awaitAddon } from "../addon/loader.js";
import { shownPath } from "../files/paths.js";
import type { ImageSet, SetArgument } from "./image_set.js";
import { type ListedImage, readList } from "./list_file.js";

/** So many files of a list are looked for; if none of them is there, it was meant for elsewhere. */
const TRIED = 16;

const byName = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));

async function isMissing(file: string): Promise<boolean> {
  return (await stat(file).catch(() => null)) === null;
}

/** Names that are listed and not to be found are told now, not one by one while images are read. */
async function requireSome(listed: readonly ListedImage[], shown: string): Promise<void> {
  const tried = listed.slice(0, TRIED);
  const missing = await Promise.all(tried.map(({ file }) => isMissing(file)));
  if (missing.includes(false)) return;
  const first = shownPath((tried[0] as ListedImage).file);
  throw dataError(
    `The files that ${shown} lists are not there, such as ${first}: its paths begin in its own folder`,
  );
}

/** The folder from which listed files are named: the list's own, or if some lie elsewhere, all's. */
function rootOf(place: string, files: readonly string[]): string {
  const own = dirname(place);
  if (files.every((file) => file.startsWith(own === sep ? sep : own + sep))) return own;
  const [first = ""] = files;
  let parts = dirname(first).split(sep);
  for (const file of files) {
    const others = file.split(sep);
    const differs = parts.findIndex((part, i) => part !== others[i]);
    if (differs >= 0) parts = parts.slice(0, differs);
  }
  return parts.join(sep) || sep;
}

async function openList(place: string, given: string, argument: string): Promise<ImageSet> {
  const shown = `${argument} ${shownPath(given)}`;
  let listed: ListedImage[];
  try {
    listed = await readList(place, shown);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code?.startsWith("FLEXAE_")) throw error;
    throw dataError(`${shown} cannot be read: ${systemReason(error)}`, error);
  }
  if (listed.length === 0) throw dataError(`${shown} lists no images`);
  await requireSome(listed, shown);
  const names = listed.flatMap((image) => (image.class === null ? [] : [image.class]));
  const classes = [...new Set(names)].sort(byName);
  const positions = new Map(classes.map((name, i) => [name, i]));
  const files = listed.map(({ file }) => file);
  return {
    source: { files },
    images: files.length,
    classes,
    labels: Int32Array.from(names, (name) => positions.get(name) as number),
    loose: 0,
    others: 0,
    place,
    root: rootOf(place, files),
  };
}

/**
 * The images of a set: a folder's, each sub-folder a class, or its own if no sub-folder holds any; or
 * those of a list (text, CSV or JSON Lines).
 *
 * @param argument - How a message names it, and the remedy.
 * @throws FlexaeError `FLEXAE_DATA` if it is missing, unreadable or holds no images.
 */
export async function openSet(given: string, { name, flag }: SetArgument): Promise<ImageSet> {
  const another = flag === undefined ? "another folder" : `another folder with ${flag}`;
  const place = resolve(given);
  let found: Awaited<ReturnType<typeof stat>>;
  try {
    found = await stat(place);
  } catch (error) {
    throw dataError(
      `${name} ${given} cannot be used: ${systemReason(error)}; put images there or name ${another}`,
      error,
    );
  }
  if (found.isFile()) return await openList(place, given, name);
  if (!found.isDirectory()) {
    const one = flag === undefined ? "" : `; name one with ${flag}`;
    throw dataError(`${name} ${given} is neither a folder nor a list of images${one}`);
  }
  const scan = await awaitAddon((addon) => addon.scanFolder(place));
  if (scan.files.length === 0) {
    throw dataError(`${name} ${given} holds no images; put some there or name ${another}`);
  }
  const { files, classes, labels, loose, others } = scan;
  return {
    source: { files },
    images: files.length,
    classes,
    labels,
    loose,
    others,
    place,
    root: place,
  };
}
