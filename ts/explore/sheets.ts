/** The sheets of thumbnails of an exploration. */
import { drawSpriteSheet } from "../imaging/sprite_sheet.js";
import type { Exploration } from "./exploration.js";

/** A sheet as it travels; see `wire.ts`. */
export interface Sheet {
  bytes: Buffer;
  /** How many of its images could not be read. */
  unreadable: number;
}

/**
 * Draws a sheet.
 *
 * @param index - From 0 to the number of sheets.
 * @throws FlexaeError `FLEXAE_INTERNAL` if opencv4nodejs does not load. Rejects with the reason of an
 *   aborted signal.
 */
export async function drawSheet(
  { header, sheetOrder, fileOf, maxPixels }: Exploration,
  index: number,
  signal?: AbortSignal | undefined,
): Promise<Sheet> {
  const { side, columns, perSheet } = header.thumbnails as NonNullable<typeof header.thumbnails>;
  const rows = sheetOrder.subarray(index * perSheet, (index + 1) * perSheet);
  const files = Array.from(rows, fileOf);
  const { image, sizes } = await drawSpriteSheet(files, { side, columns, maxPixels, signal });
  let unreadable = 0;
  for (let i = 0; i < sizes.length; i += 2) if (sizes[i] === 0) unreadable++;
  return { bytes: Buffer.concat([sizes, image]), unreadable };
}
