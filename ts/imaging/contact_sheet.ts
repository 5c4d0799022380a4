/** Contact sheets: many small pictures on one page, with a title above and captions below. */
import { writeFileAtomic } from "../files/atomic.js";
import { decodeWithin, type ImageFile, type Pixels } from "./decode.js";
import { enlarge, plain, reduce, toMat } from "./mat.js";
import { loadOpenCV, type Mat, type OpenCV } from "./opencv.js";
import { type Color, cutText, drawText, textWidth, toVec } from "./text.js";

/** One place on a sheet. */
export interface Tile {
  /**
   * One picture, or several side by side, such as an image and its reconstruction. Each keeps its
   * aspect ratio in a square: small ones are enlarged by a whole number, large ones reduced.
   */
  pictures: readonly (ImageFile | Pixels)[];
  /** A line below; where it is too long, something in its middle gives way. */
  caption?: string | undefined;
  /** Of a frame around the pictures; none unless given. */
  border?: Color | undefined;
}

/** What a sheet shows. Of its texts, characters that are not ASCII become question marks. */
export interface ContactSheet {
  /** The line above. */
  title: string;
  /** Behind the title, in grey. */
  note?: string | undefined;
  /** Row by row. */
  tiles: readonly Tile[];
}

/** How a sheet is drawn. */
export interface ContactSheetOptions {
  /** Pixels a side of the square of each picture; 96 unless given. */
  size?: number | undefined;
  /** Tiles a row; 10 unless given. The sheet is as wide with fewer. */
  columns?: number | undefined;
  /** Images whose files claim more pixels cannot be read. */
  maxPixels: number;
  /** Ends it soon; it then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
}

/** Around the sheet. */
const MARGIN = 16;
/** Between tiles. */
const GAP = 10;
/** Between the pictures of a tile. */
const PICTURE_GAP = 2;
const BORDER = 3;
const TITLE = { scale: 0.6, height: 34, baseline: 15, color: [20, 20, 20] as Color };
const NOTE = { scale: 0.5, gap: 18, color: [110, 110, 110] as Color };
const CAPTION = { scale: 0.35, height: 15, baseline: 11, color: [70, 70, 70] as Color };
const BACKGROUND: Color = [255, 255, 255];
const UNREADABLE = { fill: [226, 226, 226] as Color, stroke: [150, 150, 150] as Color };

interface Rectangle {
  x: number;
  y: number;
  width: number;
  height: number;
}

function paste(cv: OpenCV, sheet: Mat, picture: Mat, x: number, y: number): void {
  picture.copyTo(sheet.getRegion(new cv.Rect(x, y, picture.cols, picture.rows)));
}

/** What stands in for a picture that cannot be read. */
function drawUnreadable(cv: OpenCV, size: number): Mat {
  const square = plain(cv, size, size, UNREADABLE.fill);
  const [near, far] = [Math.round(size * 0.35), Math.round(size * 0.65)];
  const stroke = toVec(cv, UNREADABLE.stroke);
  const at = (x: number, y: number) => new cv.Point2(x, y);
  square.drawLine(at(near, near), at(far, far), stroke, 2, cv.LINE_AA);
  square.drawLine(at(near, far), at(far, near), stroke, 2, cv.LINE_AA);
  return square;
}

/** A picture in the size in which it is shown. */
function fitPicture(cv: OpenCV, image: Pixels | null, size: number): Mat {
  if (image === null) return drawUnreadable(cv, size);
  const picture = toMat(cv, image.pixels, image.shape);
  const long = Math.max(picture.rows, picture.cols);
  return long > size ? reduce(cv, picture, size) : enlarge(cv, picture, Math.floor(size / long));
}

/** Draws a tile whose squares begin at `x` and `y`. */
function drawTile(
  cv: OpenCV,
  sheet: Mat,
  { caption = "", border }: Tile,
  { images, x, y, size, width }: TilePlace,
): void {
  const pictures = images.map((image) => fitPicture(cv, image, size));
  const places = pictures.map(({ cols, rows }, i): Rectangle => {
    const left = x + i * (size + PICTURE_GAP) + ((size - cols) >> 1);
    return { x: left, y: y + ((size - rows) >> 1), width: cols, height: rows };
  });
  if (border !== undefined && places.length > 0) {
    const left = Math.min(...places.map((place) => place.x)) - BORDER;
    const top = Math.min(...places.map((place) => place.y)) - BORDER;
    const right = Math.max(...places.map((place) => place.x + place.width)) + BORDER;
    const bottom = Math.max(...places.map((place) => place.y + place.height)) + BORDER;
    paste(cv, sheet, plain(cv, right - left, bottom - top, border), left, top);
    const inside = plain(cv, right - left - 2 * BORDER, bottom - top - 2 * BORDER, BACKGROUND);
    paste(cv, sheet, inside, left + BORDER, top + BORDER);
  }
  for (const [i, picture] of pictures.entries()) {
    const place = places[i] as Rectangle;
    paste(cv, sheet, picture, place.x, place.y);
  }
  const { scale, color, baseline } = CAPTION;
  const text = cutText(cv, caption, scale, width);
  const left = x + Math.max(0, (width - textWidth(cv, text, scale)) >> 1);
  drawText(cv, sheet, text, { x: left, baseline: y + size + BORDER + baseline, scale, color });
}

interface TilePlace {
  /** Its pictures; null of those that cannot be read. */
  images: readonly (Pixels | null)[];
  x: number;
  y: number;
  /** Of a picture's square. */
  size: number;
  /** Of the tile. */
  width: number;
}

function drawTitle(cv: OpenCV, sheet: Mat, { title, note = "" }: ContactSheet): void {
  const right = sheet.cols - MARGIN;
  const text = cutText(cv, title, TITLE.scale, right - MARGIN);
  const baseline = MARGIN + TITLE.baseline;
  drawText(cv, sheet, text, { ...TITLE, x: MARGIN, baseline });
  const x = MARGIN + textWidth(cv, text, TITLE.scale) + NOTE.gap;
  drawText(cv, sheet, cutText(cv, note, NOTE.scale, right - x), { ...NOTE, x, baseline });
}

/** The pictures of each tile, decoded. */
async function decodeTiles(
  tiles: readonly Tile[],
  size: number,
  { maxPixels, signal }: ContactSheetOptions,
): Promise<{ decoded: (Pixels | null)[][]; unreadable: string[] }> {
  const files = tiles.flatMap(({ pictures }) =>
    pictures.filter((picture): picture is ImageFile => "file" in picture),
  );
  const read = (await decodeWithin(files, { side: size, maxPixels, signal })).values();
  const unreadable: string[] = [];
  const decoded = tiles.map(({ pictures }) =>
    pictures.map((picture) => {
      if (!("file" in picture)) return picture;
      const image = read.next().value ?? null;
      if (image === null) unreadable.push(picture.file);
      return image;
    }),
  );
  return { decoded, unreadable };
}

/**
 * Draws a contact sheet into the PNG file `path`, in one step. Files that cannot be read become
 * grey squares with an x.
 *
 * @returns Those files.
 * @throws FlexaeError `FLEXAE_INTERNAL` with the remedy if opencv4nodejs does not load, `FLEXAE_IO`
 *   if the sheet cannot be written.
 */
export async function writeContactSheet(
  path: string,
  contents: ContactSheet,
  options: ContactSheetOptions,
): Promise<string[]> {
  const cv = loadOpenCV();
  const { size = 96, columns = 10 } = options;
  const { tiles } = contents;
  const { decoded, unreadable } = await decodeTiles(tiles, size, options);
  const side = Math.max(1, ...tiles.map(({ pictures }) => pictures.length));
  const width = side * (size + PICTURE_GAP) - PICTURE_GAP;
  const [stepX, stepY] = [width + 2 * BORDER + GAP, size + 2 * BORDER + CAPTION.height + GAP];
  const top = MARGIN + TITLE.height;
  const rows = Math.ceil(tiles.length / columns);
  const sheet = plain(
    cv,
    2 * MARGIN + columns * stepX - GAP,
    top + rows * stepY - GAP + MARGIN,
    BACKGROUND,
  );
  drawTitle(cv, sheet, contents);
  for (const [i, tile] of tiles.entries()) {
    drawTile(cv, sheet, tile, {
      images: decoded[i] as (Pixels | null)[],
      x: MARGIN + (i % columns) * stepX + BORDER,
      y: top + Math.floor(i / columns) * stepY + BORDER,
      size,
      width,
    });
  }
  await writeFileAtomic(path, cv.imencode(".png", sheet));
  return unreadable;
}
