/** Folders from which images are named. */
import { sep } from "node:path";

/** The deepest folder that has all of these in it; absolute paths of folders. */
export function commonFolder(folders: readonly string[]): string {
  const [first = sep] = folders;
  let parts = first.split(sep);
  for (const folder of new Set(folders)) {
    const others = folder.split(sep);
    const differs = parts.findIndex((part, i) => part !== others[i]);
    if (differs >= 0) parts = parts.slice(0, differs);
  }
  return parts.join(sep) || sep;
}

/** Whether a path lies in a folder. */
export function isWithin(path: string, folder: string): boolean {
  return path.startsWith(folder === sep ? sep : folder + sep);
}
