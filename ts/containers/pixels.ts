/** Arrays of images as bytes, one image behind the other. */
import { dataError } from "../addon/errors.js";
import type { ListingMonitor } from "./listing.js";
import type { MemberSink } from "./members.js";

/** So many images are added between two looks at what else there is to do. */
const AT_ONCE = 1 << 16;

/** An array as its header has it. */
interface PixelArray {
  shown: string;
  /** Bytes of the file. */
  size: number;
  /** N×H×W or N×H×W×C. */
  shape: readonly number[];
  /** Where the first image begins. */
  offset: number;
  /** Classes, of each image. */
  labels?: readonly string[] | undefined;
  monitor: ListingMonitor;
}

/**
 * Adds each image of an array under its number, as many digits as the last one has.
 *
 * @throws FlexaeError `FLEXAE_DATA` for another shape, or if the array is not whole; what the
 *   monitor throws.
 */
export async function addPixels(
  sink: MemberSink,
  { shown, size, shape, offset, labels, monitor }: PixelArray,
): Promise<void> {
  const [images = 0, height = 0, width = 0, channels = 1] = shape;
  const isShape = shape.length === 3 || shape.length === 4;
  const isSound = shape.every((size) => Number.isSafeInteger(size)) && height > 0 && width > 0;
  if (!isShape || (channels !== 1 && channels !== 3) || !isSound) {
    throw dataError(
      `${shown} has the shape ${shape.join("×")}: images are N×H×W, or N×H×W×C with one or three channels`,
    );
  }
  const length = height * width * channels;
  if (offset + images * length > size) {
    throw dataError(`${shown} is truncated: it has less than ${images} images`);
  }
  sink.shape = { height, width, channels };
  const digits = String(Math.max(0, images - 1)).length;
  for (let i = 0; i < images; i++) {
    sink.add({
      name: String(i).padStart(digits, "0"),
      offset: offset + i * length,
      length,
      form: "pixels",
      label: labels?.[i],
    });
    if ((i + 1) % AT_ONCE === 0) await monitor.pause(sink.images, (i + 1) / images);
  }
}
