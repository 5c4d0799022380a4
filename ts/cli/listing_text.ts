/** How far a set is listed, for a person. */
import type { ListingProgress } from "../containers/listing.js";
import { shownPath } from "../files/paths.js";
import { grouped } from "./format.js";

/**
 * `Listing train-{000..127}.tar: 23 of 128 files, 412,000 images, 18%`.
 *
 * @param columns - The most it may have, for what goes on in the next line cannot be taken back: of
 *   a long name the end is shown.
 */
export function listingText(listing: ListingProgress, columns: number): string {
  const { set, files, filesDone, images, share } = listing;
  const parts = [
    ...(files > 1 ? [`${grouped(filesDone)} of ${grouped(files)} files`] : []),
    ...(images > 0 ? [`${grouped(images)} images`] : []),
    ...(share === null ? [] : [`${Math.floor(100 * share)}%`]),
  ];
  const found = parts.length > 0 ? `: ${parts.join(", ")}` : "";
  const name = shownPath(set);
  const room = Math.max(1, columns - "Listing ".length - found.length);
  const shown = name.length > room ? `…${name.slice(name.length - room + 1)}` : name;
  return `Listing ${shown}${found}`;
}

/** As it fits a line of stderr. */
export function listingLine(listing: ListingProgress): string {
  return listingText(listing, (process.stderr.columns || 80) - 1);
}
