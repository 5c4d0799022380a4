/** The images of a folder, as the addon lists them. */
import { awaitAddon, callAddon } from "../addon/loader.js";
import type { FolderScan } from "../addon/types.js";
import type { ListingMonitor } from "../containers/listing.js";

/** How often it is asked how far it is, in milliseconds. */
const ASKED_EVERY = 50;

/**
 * Lists the images below a folder.
 *
 * @throws FlexaeError `FLEXAE_DATA` if it cannot be read or holds none; what the monitor throws.
 */
export async function scanFolder(folder: string, monitor: ListingMonitor): Promise<FolderScan> {
  monitor.check();
  const job = callAddon((addon) => addon.scanFolder(folder));
  let failure: unknown;
  const timer = setInterval(() => {
    try {
      monitor.note(job.images(), null);
    } catch (error) {
      failure = error;
      job.cancel();
    }
  }, ASKED_EVERY);
  let scan: FolderScan | null;
  try {
    scan = await awaitAddon(() => job.result);
  } finally {
    clearInterval(timer);
  }
  monitor.check();
  if (scan === null) throw failure;
  monitor.add(scan.files.length);
  return scan;
}
