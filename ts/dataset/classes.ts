/** Classes of images, from the folders they lie in or from what names them. */

/** Classes of the images that belong to one. */
export interface Classes {
  /** Positions of the images that are left, in order; null where that is all. */
  kept: number[] | null;
  names: string[];
  /** Of each image that is left, its position in `names`; empty without classes. */
  labels: Int32Array;
  /** Images beside the folders of the classes, which are left out. */
  loose: number;
}

export const byBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));

const NONE: Classes = { kept: null, names: [], labels: new Int32Array(), loose: 0 };

/** How much of each path is folders that all images are in, with further folders below. */
function commonFolders(paths: readonly string[], starts: Int32Array): number {
  const [first = ""] = paths;
  const [start = 0] = starts;
  for (let length = 0; ; ) {
    const end = first.indexOf("/", start + length) + 1 - start;
    if (end <= 0) return length;
    const folder = first.slice(start + length, start + end);
    const isCommon = paths.every((path, i) => path.startsWith(folder, at(starts, i) + length));
    // The folder of a single class is its name; folders above the classes are not.
    if (!isCommon || !paths.some((path, i) => path.indexOf("/", at(starts, i) + end) >= 0)) {
      return length;
    }
    length = end;
  }
}

const at = (starts: Int32Array, i: number) => starts[i] as number;

/**
 * As of a folder: each folder is a class, at any depth below; what lies beside such folders is left
 * out. Folders that all images are in count for nothing.
 *
 * @param paths - Of the images, with `/`. They may be a million: nothing is kept of them.
 * @param starts - Of each path, how much is not its own: the container's; none unless given.
 */
export function classesOfFolders(
  paths: readonly string[],
  starts: Int32Array = new Int32Array(paths.length),
): Classes {
  const common = commonFolders(paths, starts);
  const numbers = new Map<string, number>();
  const labels = new Int32Array(paths.length);
  let loose = 0;
  for (const [i, path] of paths.entries()) {
    const from = at(starts, i) + common;
    const end = path.indexOf("/", from);
    if (end < 0) {
      labels[i] = -1;
      loose++;
      continue;
    }
    const folder = path.slice(from, end);
    const number = numbers.get(folder) ?? numbers.size;
    if (number === numbers.size) numbers.set(folder, number);
    labels[i] = number;
  }
  if (numbers.size === 0) return NONE;
  const found = [...numbers.keys()];
  const names = [...found].sort(byBytes);
  const places = new Map(names.map((name, i) => [name, i]));
  const sorted = found.map((name) => places.get(name) as number);
  const positions = [...labels.keys()].filter((i) => (labels[i] as number) >= 0);
  return {
    kept: loose === 0 ? null : positions,
    names,
    labels: Int32Array.from(positions, (i) => sorted[labels[i] as number] as number),
    loose,
  };
}

/** Of images that each name theirs. */
export function classesNamed(classes: readonly string[]): Classes {
  const names = [...new Set(classes)].sort(byBytes);
  const positions = new Map(names.map((name, i) => [name, i]));
  const labels = Int32Array.from(classes, (name) => positions.get(name) as number);
  return { kept: null, names, labels, loose: 0 };
}

/** Whether two ways of naming tell the same images apart. */
export function areSameClasses(a: Classes, b: Classes): boolean {
  if (a.names.length !== b.names.length || a.labels.length !== b.labels.length) return false;
  const other = new Int32Array(a.names.length).fill(-1);
  for (const [i, label] of a.labels.entries()) {
    if (other[label] === -1) other[label] = b.labels[i] as number;
    else if (other[label] !== b.labels[i]) return false;
  }
  return new Set(other).size === other.length;
}
