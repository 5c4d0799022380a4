import { constants, mkdir, open, rmdir } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * Makes a folder and those above it, unless they are there. Node's own recursive way says of a read-only file system
 * that it has no such folder.
 *
 * @returns Those that were made, the outermost first.
 */
export async function makeFolders(path: string): Promise<string[]> {
  try {
    await mkdir(path);
    return [path];
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" && dirname(path) !== path) {
      const above = await makeFolders(dirname(path));
      return [...above, ...(await makeFolders(path))];
    }
    // A file in its place is met by whoever uses the folder.
    if (code === "EEXIST" || code === "EISDIR") return [];
    throw error;
  }
}

/** Removes folders that {@link makeFolders} has made, those that are still empty. */
export async function removeFolders(made: readonly string[]): Promise<void> {
  // Whoever has put something there since, or taken it away, is right.
  for (const path of made.toReversed()) await rmdir(path).catch(() => {});
}

/** Makes a folder's entries durable. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY);
  try {
    await handle.sync();
  } catch (error) {
    // Some network file systems do not sync folders; their renames are as durable as they get.
    if (!["EINVAL", "ENOTSUP"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  } finally {
    await handle.close();
  }
}
