/** Sprite sheets: many small pictures of one size in one image, for a page that shows some. */
import { decodeWithin, type ImageFile } from "./decode.js";
import { loadOpenCV, type OpenCV } from "./opencv.js";

/** How sheets are made. */
export interface SpriteOptions {
  /** Pixels a side of the square of each picture, up to 255. Smaller ones keep their size. */
  side: number;
  /** Squares a row. */
  columns: number;
  /** Images whose files claim more pixels cannot be read. */
  maxPixels: number;
  /** Ends it soon; it then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
}

/** A sheet. */
export interface SpriteSheet {
  /** A JPEG or a PNG file, by which is smaller; PNG where OpenCV came without JPEG. */
  image: Buffer;
  /**
   * Width and height of each picture, in the order of the files. It lies in the upper left corner
   * of its square. Of a file that cannot be read both are 0.
   */
  sizes: Uint8Array;
}

/** Of JPEG, up to 100: at less, edges of such small pictures blur. */
const QUALITY = 88;
/** Of PNG, 0 to 9: more takes ten times as long for a twentieth less. */
const COMPRESSION = 3;
/** PNG may be so many times as large: it loses nothing, and JPEG blurs drawings. */
const WORTH = 1.2;

/** One byte a pixel where all are grey; null where not. */
function greyOf(pixels: Buffer): Buffer | null {
  const grey = Buffer.alloc(pixels.length / 3);
  for (let i = 0, from = 0; i < grey.length; i++, from += 3) {
    const value = pixels[from] as number;
    if (value !== pixels[from + 1] || value !== pixels[from + 2]) return null;
    grey[i] = value;
  }
  return grey;
}

function encode(cv: OpenCV, pixels: Buffer, height: number, width: number): Buffer {
  const grey = greyOf(pixels);
  const sheet =
    grey === null
      ? new cv.Mat(pixels, height, width, cv.CV_8UC3)
      : new cv.Mat(grey, height, width, cv.CV_8UC1);
  const png = cv.imencode(".png", sheet, [cv.IMWRITE_PNG_COMPRESSION, COMPRESSION]);
  let jpeg: Buffer;
  try {
    jpeg = cv.imencode(".jpg", sheet, [cv.IMWRITE_JPEG_QUALITY, QUALITY]);
  } catch {
    return png;
  }
  return png.length <= WORTH * jpeg.length ? png : jpeg;
}

/**
 * Draws pictures of files into one sheet, row by row.
 *
 * @throws FlexaeError `FLEXAE_INTERNAL` with the remedy if opencv4nodejs does not load. Rejects with
 *   the reason of an aborted signal.
 */
export async function drawSpriteSheet(
  files: readonly ImageFile[],
  options: SpriteOptions,
): Promise<SpriteSheet> {
  const cv = loadOpenCV();
  const { side, columns } = options;
  const pictures = await decodeWithin(files, options);
  const stride = 3 * side * Math.min(columns, files.length);
  const rows = Math.ceil(files.length / columns);
  const pixels = Buffer.alloc(stride * side * rows);
  const sizes = new Uint8Array(2 * files.length);
  for (const [i, picture] of pictures.entries()) {
    if (picture === null) continue;
    const { width, height } = picture.shape;
    sizes[2 * i] = width;
    sizes[2 * i + 1] = height;
    const area = width * height;
    const begin = Math.floor(i / columns) * side * stride + 3 * side * (i % columns);
    for (let y = 0, from = 0; y < height; y++) {
      let to = begin + y * stride;
      // From planes of red, green and blue to blue, green and red of each pixel.
      for (const end = from + width; from < end; from++, to += 3) {
        pixels[to] = picture.pixels[2 * area + from] as number;
        pixels[to + 1] = picture.pixels[area + from] as number;
        pixels[to + 2] = picture.pixels[from] as number;
      }
    }
  }
  return { image: encode(cv, pixels, side * rows, stride / 3), sizes };
}
