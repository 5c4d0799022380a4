/** Small pictures of images, off sheets that are fetched when one of them is wanted. */
import { SHEET_BYTES_PER_SQUARE } from "../../ts/explore/wire.ts";
import type { Data } from "./data.ts";
import type { Source } from "./source.ts";

/** A picture on its sheet. */
export interface Thumbnail {
  sheet: ImageBitmap;
  x: number;
  y: number;
  /** 0 of a file that could not be read. */
  width: number;
  height: number;
}

/** Sheets that are decoded at a time: 4 MB each. */
const KEPT = 64;
/** Those of one picture: more would push each other out again and again. */
export const SHEETS_AT_ONCE = 48;
/** When a sheet that could not be had is asked for again, in milliseconds. */
const RETRY = 3000;

interface Sheet {
  bitmap: ImageBitmap | null;
  sizes: Uint8Array;
}

/** Hands out thumbnails. */
export class Thumbnails {
  readonly #source: Source;
  readonly #layout: NonNullable<Data["header"]["thumbnails"]>;
  readonly #squares: Uint32Array;
  /** The one that was wanted last stands last. */
  readonly #sheets = new Map<number, Sheet>();
  readonly #loading = new Map<number, Promise<void>>();
  readonly #onLoad: () => void;

  /** @param onLoad - Called when there are more of those that were asked for. */
  private constructor(
    source: Source,
    data: Data,
    layout: NonNullable<Data["header"]["thumbnails"]>,
    onLoad: () => void,
  ) {
    this.#source = source;
    this.#layout = layout;
    this.#squares = data.array(layout.squares) as Uint32Array;
    this.#onLoad = onLoad;
  }

  /** Null where there are none. */
  static of(source: Source, data: Data, onLoad: () => void): Thumbnails | null {
    const { thumbnails } = data.header;
    return thumbnails && new Thumbnails(source, data, thumbnails, onLoad);
  }

  /** Pixels of the longer side. */
  get side(): number {
    return this.#layout.side;
  }

  /** The sheet that an image is on. */
  sheetOf(row: number): number {
    return Math.floor((this.#squares[row] as number) / this.#layout.perSheet);
  }

  /** An image's; null while it is not there, which is then mended. */
  get(row: number): Thumbnail | null {
    const index = this.sheetOf(row);
    const sheet = this.#sheets.get(index);
    if (sheet === undefined) {
      void this.#load(index);
      return null;
    }
    this.#sheets.delete(index);
    this.#sheets.set(index, sheet);
    const { columns, perSheet, side } = this.#layout;
    const square = (this.#squares[row] as number) % perSheet;
    if (sheet.bitmap === null) return null;
    return {
      sheet: sheet.bitmap,
      x: (square % columns) * side,
      y: Math.floor(square / columns) * side,
      width: sheet.sizes[SHEET_BYTES_PER_SQUARE * square] as number,
      height: sheet.sizes[SHEET_BYTES_PER_SQUARE * square + 1] as number,
    };
  }

  /** An image's, as soon as it is there; null if it cannot be had. */
  async wait(row: number): Promise<Thumbnail | null> {
    const index = this.sheetOf(row);
    if (!this.#sheets.has(index)) await this.#load(index);
    return this.get(row);
  }

  async #load(index: number): Promise<void> {
    let loading = this.#loading.get(index);
    if (loading === undefined) {
      loading = this.#fetch(index).finally(() => this.#loading.delete(index));
      this.#loading.set(index, loading);
    }
    await loading;
  }

  async #fetch(index: number): Promise<void> {
    const { perSheet } = this.#layout;
    const squares = Math.min(perSheet, this.#squares.length - index * perSheet);
    try {
      const bytes = await this.#source.sheet(index);
      const sizes = bytes.slice(0, SHEET_BYTES_PER_SQUARE * squares);
      const image = new Blob([bytes.subarray(sizes.length)]);
      this.#keep(index, { bitmap: await createImageBitmap(image), sizes });
    } catch {
      // Without a server, or in a file that was cut short. It is asked for again, but not at once.
      this.#keep(index, { bitmap: null, sizes: new Uint8Array(0) });
      setTimeout(() => this.#sheets.delete(index), RETRY);
    }
    this.#onLoad();
  }

  #keep(index: number, sheet: Sheet): void {
    this.#sheets.set(index, sheet);
    const [oldest] = this.#sheets;
    if (this.#sheets.size > KEPT && oldest !== undefined) {
      oldest[1].bitmap?.close();
      this.#sheets.delete(oldest[0]);
    }
  }
}

/**
 * Draws a picture into a square, as large as it gets there by keeping its form. Where there is none,
 * it draws a cross.
 */
export function drawThumbnail(
  context: CanvasRenderingContext2D,
  thumbnail: Thumbnail,
  left: number,
  top: number,
  side: number,
): void {
  const { sheet, x, y, width, height } = thumbnail;
  if (width === 0) {
    context.strokeStyle = "#888888";
    context.beginPath();
    const [near, far] = [0.35 * side, 0.65 * side];
    context.moveTo(left + near, top + near);
    context.lineTo(left + far, top + far);
    context.moveTo(left + far, top + near);
    context.lineTo(left + near, top + far);
    context.stroke();
    return;
  }
  const scale = side / Math.max(width, height);
  const [w, h] = [width * scale, height * scale];
  // Pixels of small pictures stay to be seen.
  context.imageSmoothingEnabled = scale < 1 || Math.max(width, height) > 64;
  context.drawImage(sheet, x, y, width, height, left + (side - w) / 2, top + (side - h) / 2, w, h);
}

/** A picture as an element, filled when it is there. */
export function thumbnailElement(
  thumbnails: Thumbnails,
  row: number,
  side: number,
): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  const scale = window.devicePixelRatio;
  canvas.width = Math.round(side * scale);
  canvas.height = canvas.width;
  canvas.style.width = `${side}px`;
  canvas.style.height = `${side}px`;
  void thumbnails.wait(row).then((thumbnail) => {
    const context = canvas.getContext("2d");
    if (thumbnail !== null && context !== null) {
      drawThumbnail(context, thumbnail, 0, 0, canvas.width);
    }
    canvas.dataset.drawn = String(thumbnail !== null);
  });
  return canvas;
}
