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

const isInFolder = (name: string, from: number) => name.indexOf("/", from) >= 0;

/** How much of each name is folders that all images are in, with further folders below. */
function commonFolders(names: readonly string[]): number {
  for (let from = 0; ; ) {
    const [first = ""] = names;
    const end = first.indexOf("/", from) + 1;
    if (end === 0) return from;
    const folder = first.slice(from, end);
    const isCommon = names.every((name) => name.startsWith(folder, from));
    // The folder of a single class is its name; folders above the classes are not.
    if (!isCommon || !names.some((name) => isInFolder(name, end))) return from;
    from = end;
  }
}

/**
 * As of a folder: each folder is a class, at any depth below; what lies beside such folders is left
 * out. Folders that all images are in count for nothing.
 *
 * @param names - Paths of the images, with `/`.
 */
export function classesOfFolders(names: readonly string[]): Classes {
  const from = commonFolders(names);
  const folders = names.map((name) => {
    const end = name.indexOf("/", from);
    return end < 0 ? null : name.slice(from, end);
  });
  if (folders.every((folder) => folder === null)) return NONE;
  const kept = [...folders.keys()].filter((i) => folders[i] !== null);
  const classes = kept.map((i) => folders[i] as string);
  const isAll = kept.length === names.length;
  return { ...classesNamed(classes), kept: isAll ? null : kept, loose: names.length - kept.length };
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
