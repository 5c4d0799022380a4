/** Paths of images within containers, wherever they come from: a list, a table, a run's record. */
import { stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { shownPath } from "../files/paths.js";
import { ListingMonitor } from "./listing.js";
import { openContainer } from "./open_container.js";

/** Folders of the disk, which are no containers. */
const folders = new Set<string>();
/** Files that were opened, or are no containers, and what told their state then. */
const opened = new Map<string, string>();

/** The file that a path goes through as if it were a folder, and its state; null if there is none. */
async function fileAbove(folder: string): Promise<{ place: string; state: string } | null> {
  for (let place = folder; ; place = dirname(place)) {
    const found = await stat(place, { bigint: true }).catch((error: NodeJS.ErrnoException) =>
      error.code === "ENOTDIR" ? undefined : null,
    );
    if (found?.isFile()) return { place, state: `${found.ino} ${found.size} ${found.mtimeNs}` };
    if (found?.isDirectory()) folders.add(folder);
    // Of what is not there at all nothing is known; below a file the system says "not a folder".
    if (found !== undefined || dirname(place) === place) return null;
  }
}

/**
 * Makes images readable that lie in containers: of `/data/shard.tar/1.jpg`, the file `/data/shard.tar`
 * is opened, again if it is another one by now. Other paths are left alone.
 *
 * @param monitor - Is told how far it is.
 * @throws FlexaeError `FLEXAE_DATA` if such a container cannot be read. Rejects with the reason of
 *   the monitor's signal.
 */
export async function mountContainers(
  files: readonly string[],
  monitor = new ListingMonitor(),
): Promise<void> {
  const places = new Map<string, string>();
  for (const folder of new Set(files.map((file) => dirname(resolve(file))))) {
    if (folders.has(folder)) continue;
    const above = await fileAbove(folder);
    if (above !== null) places.set(above.place, above.state);
  }
  const anew = [...places].filter(([place, state]) => opened.get(place) !== state);
  monitor.expect(anew.length);
  for (const [place, state] of anew) {
    await openContainer(place, shownPath(place), monitor);
    opened.set(place, state);
  }
}
