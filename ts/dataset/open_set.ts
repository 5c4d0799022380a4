/** Opens a set of images, whatever it lies in. */
import { readdir, stat } from "node:fs/promises";
import { basename, dirname, join, resolve, sep } from "node:path";
import { configError, dataError, systemReason } from "../addon/errors.js";
import { awaitAddon } from "../addon/loader.js";
import { ListingMonitor, type ListingOptions, type ListingPace } from "../containers/listing.js";
import { isImageName } from "../containers/members.js";
import { mountContainers } from "../containers/mount.js";
import { openContainer } from "../containers/open_container.js";
import { shownPath } from "../files/paths.js";
import { expandPattern, isPattern } from "../files/patterns.js";
import { byBytes, type Classes, classesNamed, classesOfFolders } from "./classes.js";
import { containerSet, type OpenedContainer } from "./container_set.js";
import type { ImageSet, SetArgument, SetPart } from "./image_set.js";
import { joinSets } from "./join_sets.js";
import { type ListedImage, readList } from "./list_file.js";
import { commonFolder, isWithin } from "./roots.js";
import { scanFolder } from "./scan_folder.js";
import { parseSet, type SetTerm } from "./set_text.js";

/** So many files of a list are looked for; if none of them is there, it was meant for elsewhere. */
const TRIED = 16;

/** Names that are listed and not to be found are told now, not one by one while images are read. */
async function requireSome(listed: readonly ListedImage[], shown: string): Promise<void> {
  const tried = listed.slice(0, TRIED).map(({ file }) => file);
  const { bytes } = await awaitAddon((addon) => addon.stampImages(tried));
  if (bytes.some((length) => length >= 0)) return;
  const first = shownPath(tried[0] as string);
  throw dataError(
    `The files that ${shown} lists are not there, such as ${first}: its paths begin in its own folder`,
  );
}

function setOf(files: string[], classes: Classes, root: string, others = 0): ImageSet {
  const { kept, names, labels, loose } = classes;
  const left = kept === null ? files : kept.map((i) => files[i] as string);
  return {
    source: { files: left },
    images: left.length,
    classes: names,
    labels,
    loose,
    others,
    place: null,
    root,
  };
}

/** Parts that a list has, which are rows that follow each other. */
function partsOf(listed: readonly ListedImage[]): SetPart[] | undefined {
  const parts: SetPart[] = [];
  let name: string | undefined;
  for (const { part } of listed) {
    if (part === null) return undefined;
    if (part.name !== name) parts.push({ images: 0, weight: part.weight });
    name = part.name;
    (parts.at(-1) as SetPart).images++;
  }
  return parts;
}

async function openList(place: string, { shown, monitor }: Asked): Promise<ImageSet> {
  let listed: ListedImage[];
  try {
    listed = await readList(place, shown);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code?.startsWith("FLEXAE_")) throw error;
    throw dataError(`${shown} cannot be read: ${systemReason(error)}`, error);
  }
  if (listed.length === 0) throw dataError(`${shown} lists no images`);
  const files = listed.map(({ file }) => file);
  await mountContainers(files, monitor);
  await requireSome(listed, shown);
  const named = listed.flatMap((image) => (image.class === null ? [] : [image.class]));
  const own = dirname(place);
  const root = files.every((file) => isWithin(file, own)) ? own : commonFolder(files.map(dirname));
  const set = setOf(files, classesNamed(named), root);
  const parts = partsOf(listed);
  return parts === undefined ? set : { ...set, source: { files, parts } };
}

/** Containers that lie in a folder, in the order of their names. */
async function containersIn(folder: string, monitor: ListingMonitor): Promise<OpenedContainer[]> {
  const places: string[] = [];
  for (const name of (await readdir(folder).catch((): string[] => [])).sort(byBytes)) {
    const place = join(folder, name);
    if (name.startsWith(".") || !(await stat(place).catch(() => null))?.isFile()) continue;
    places.push(place);
  }
  monitor.expect(places.length);
  const opened: OpenedContainer[] = [];
  for (const place of places) {
    const listing = await openContainer(place, shownPath(place), monitor);
    if (listing !== null) opened.push({ place, listing });
  }
  return opened;
}

async function openFolder(place: string, monitor: ListingMonitor): Promise<ImageSet> {
  try {
    const scan = await scanFolder(place, monitor);
    const { files, classes, labels, loose, others } = scan;
    return { ...setOf(files, { kept: null, names: classes, labels, loose }, place, others), place };
  } catch (error) {
    monitor.check();
    const containers = await containersIn(place, monitor);
    if (containers.length === 0) throw error;
    return containerSet(containers);
  }
}

/** What a message says of the set, and of another one; and who is told how far it is. */
interface Asked {
  monitor: ListingMonitor;
  shown: string;
  /** How to name another. */
  another: string;
  name: string;
  flag: string | undefined;
}

async function openFile(place: string, asked: Asked): Promise<ImageSet> {
  const { shown, monitor } = asked;
  monitor.expect(1);
  const listing = await openContainer(place, shown, monitor);
  if (listing !== null) return containerSet([{ place, listing }]);
  return await openList(place, asked);
}

async function openPath(place: string, asked: Asked): Promise<ImageSet> {
  const { shown, another, flag, monitor } = asked;
  let found: Awaited<ReturnType<typeof stat>>;
  try {
    found = await stat(place);
  } catch (error) {
    throw dataError(
      `${shown} cannot be used: ${systemReason(error)}; put images there or name ${another}`,
      error,
    );
  }
  if (found.isFile()) return await openFile(place, asked);
  if (found.isDirectory()) return await openFolder(place, monitor);
  const one = flag === undefined ? "" : `; name one with ${flag}`;
  throw dataError(`${shown} is neither a folder nor a list of images${one}`);
}

/** The folder in which a pattern begins. */
async function patternRoot(text: string): Promise<string> {
  const parts = resolve(text).split(sep);
  const patterns = await Promise.all(parts.map(isPattern));
  const first = patterns.indexOf(true);
  return parts.slice(0, first).join(sep) || sep;
}

/** Image files, containers, folders and lists that a pattern names. */
async function openPattern(text: string, asked: Asked): Promise<ImageSet> {
  const { monitor } = asked;
  const paths = (await expandPattern(text, asked.shown)).map((path) => resolve(path));
  if (paths.length === 0) {
    throw dataError(`${asked.shown} matches nothing: quote it, or name another set`);
  }
  const isImage = await Promise.all(
    paths.map(async (path) => isImageName(basename(path)) && (await stat(path)).isFile()),
  );
  const images = paths.filter((_, i) => isImage[i]);
  const sets: ImageSet[] = [];
  const containers: OpenedContainer[] = [];
  const others = paths.filter((_, i) => !isImage[i]);
  const files = new Set<string>();
  for (const path of others) {
    if ((await stat(path).catch(() => null))?.isFile() === true) files.add(path);
  }
  monitor.expect(files.size);
  for (const path of others) {
    const own = { ...asked, shown: `${asked.name} ${shownPath(path)}` };
    const listing = files.has(path) ? await openContainer(path, own.shown, monitor) : null;
    if (listing === null) sets.push(await openPath(path, own));
    else containers.push({ place: path, listing });
  }
  if (containers.length > 0) sets.push(containerSet(containers));
  if (images.length > 0) {
    const root = await patternRoot(text);
    const from = root === sep ? 1 : root.length + 1;
    const names = images.map((file) => file.slice(from).split(sep).join("/"));
    sets.push(setOf(images, classesOfFolders(names), root));
  }
  return sets.length === 1 ? (sets[0] as ImageSet) : joinSets(sets, null);
}

/** A term by which it is opened again from anywhere. */
const absolute = ({ text, weight }: SetTerm): string =>
  resolve(text) + (weight === null ? "" : `:${weight}`);

/**
 * The images of a set. That is a folder, each sub-folder a class, or its own if no sub-folder holds
 * any; a list (text, CSV or JSON Lines); a tar, zip or Parquet file, an IDX file or a NumPy array of
 * images, or a folder of such; a pattern of any of these (`train-{000..127}.tar`, `*.zip`); or several
 * with commas between, each with a weight or none (`a:0.7,b:0.3`). All told by content.
 *
 * @param argument - How a message names it, and the remedy.
 * @param pace - When progress is told; after a second unless given.
 * @throws FlexaeError `FLEXAE_DATA` if it is missing, unreadable or holds no images; `FLEXAE_CONFIG` for
 *   weights that are none, or where they are refused. Rejects with the reason of an aborted signal.
 */
export async function openSet(
  given: string,
  argument: SetArgument,
  options: ListingOptions = {},
  pace?: ListingPace,
): Promise<ImageSet> {
  const { name, flag, refusesWeights = false } = argument;
  const another = flag === undefined ? "another folder" : `another folder with ${flag}`;
  const terms = await parseSet(given, name);
  const weights = terms.flatMap(({ weight }) => (weight === null ? [] : [weight]));
  if (weights.length > 0 && refusesWeights) {
    throw configError(`${name} has no use for weights: write its sets without them`);
  }
  const monitor = new ListingMonitor(options, pace);
  const sets: ImageSet[] = [];
  for (const { text } of terms) {
    monitor.begin(text);
    const asked = { monitor, shown: `${name} ${shownPath(text)}`, another, name, flag };
    const isThere = (await stat(resolve(text)).catch(() => null)) !== null;
    sets.push(
      !isThere && (await isPattern(text))
        ? await openPattern(text, asked)
        : await openPath(resolve(text), asked),
    );
  }
  monitor.check();
  const set =
    terms.length === 1
      ? (sets[0] as ImageSet)
      : joinSets(sets, weights.length > 0 ? weights : null);
  return { ...set, place: set.place ?? terms.map(absolute).join(",") };
}
