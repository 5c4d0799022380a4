/** Paths of images within containers, wherever they come from: a list, a table, a run's record. */
import { stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { shownPath } from "../files/paths.js";
import { openContainer } from "./open_container.js";

/** Folders that are there, and containers that were opened; looked at once in a process. */
const seen = new Set<string>();

/** The file that a path goes through as if it were a folder; null if there is none. */
async function fileAbove(folder: string): Promise<string | null> {
  for (let place = folder; ; place = dirname(place)) {
    const found = await stat(place).catch((error: NodeJS.ErrnoException) =>
      error.code === "ENOTDIR" ? undefined : null,
    );
    if (found?.isFile()) return place;
    // Of what is not there at all nothing is known; below a file the system says "not a folder".
    if (found !== undefined || dirname(place) === place) return null;
  }
}

/**
 * Makes images readable that lie in containers: of `/data/shard.tar/1.jpg`, the file `/data/shard.tar`
 * is opened. Other paths are left alone.
 *
 * @throws FlexaeError `FLEXAE_DATA` if such a container cannot be read.
 */
export async function mountContainers(files: readonly string[]): Promise<void> {
  const folders = new Set(files.map((file) => dirname(resolve(file))));
  for (const folder of folders) {
    if (seen.has(folder)) continue;
    const place = await fileAbove(folder);
    if (place !== null && !seen.has(place)) {
      await openContainer(place, shownPath(place));
      seen.add(place);
    }
    seen.add(folder);
  }
}
