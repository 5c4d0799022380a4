/** What lies above the points: thumbnails where there is room, and rings around single ones. */
import type { Colouring } from "./colours.ts";
import type { Data } from "./data.ts";
import type { PointMap } from "./map.ts";
import { drawThumbnail, type Thumbnails } from "./thumbnails.ts";

/** CSS pixels of a thumbnail's longer side in the map; of few images they are larger. */
const SIDE = 40;
const LARGE_SIDE = 64;
const FEW = 60;
/** With more images in the picture there are no thumbnails: they would hide what it shows. */
const MOST_IN_VIEW = 500;
/** To ask which of a million images are in the picture takes a while: so many are looked at first. */
const SAMPLE = 2000;
const SURELY_TOO_MANY = 20_000;
/** Between thumbnails. */
const GAP = 4;
/** Of a thumbnail, in the colour of its point. */
const FRAME = 2;
/** Milliseconds between two looks at what is in the picture. */
const LOOKED_EVERY = 120;

/** Draws them. */
export class Pictures {
  readonly #canvas: HTMLCanvasElement;
  readonly #map: PointMap;
  readonly #data: Data;
  readonly #thumbnails: Thumbnails | null;
  #side = SIDE;
  /** Rows whose thumbnails are drawn. */
  #rows: number[] = [];
  #mask: Uint8Array | null = null;
  #current: number | null = null;
  #neighbours: readonly number[] = [];
  #isWanted = true;
  #colours: Colouring | undefined;
  #lookTimer: number | undefined;
  #frame: number | undefined;

  constructor(canvas: HTMLCanvasElement, map: PointMap, data: Data, thumbnails: Thumbnails | null) {
    this.#canvas = canvas;
    this.#map = map;
    this.#data = data;
    this.#thumbnails = thumbnails;
  }

  /** Whether thumbnails are wanted. */
  set wanted(isWanted: boolean) {
    this.#isWanted = isWanted;
    this.look();
  }

  /** Which rows filters leave; null: all. */
  set mask(mask: Uint8Array | null) {
    this.#mask = mask;
    this.look();
  }

  /** How points are coloured, and so frames. */
  set colours(colours: Colouring) {
    this.#colours = colours;
    this.draw();
  }

  /** The image that is looked at, and its neighbours. */
  mark(current: number | null, neighbours: readonly number[]): void {
    this.#current = current;
    this.#neighbours = neighbours;
    this.draw();
  }

  /** Points have moved: soon others may have room. */
  moved(): void {
    this.draw();
    this.#lookTimer ??= window.setTimeout(() => {
      this.#lookTimer = undefined;
      this.look();
    }, LOOKED_EVERY);
  }

  /** Chooses which thumbnails there is room for. */
  look(): void {
    this.#rows = this.#isWanted && this.#thumbnails !== null ? this.#choose() : [];
    this.#canvas.dataset.thumbnails = String(this.#rows.length);
    this.draw();
  }

  /** As many as there is room for. Lower rows come first: they stay while the map moves. */
  #choose(): number[] {
    if (this.#map.shareInView(SAMPLE) * this.#data.rows > SURELY_TOO_MANY) return [];
    const mask = this.#mask;
    const inView = this.#map.inView().filter((row) => mask === null || mask[row] === 1);
    if (inView.length > MOST_IN_VIEW) return [];
    this.#side = inView.length > FEW ? SIDE : LARGE_SIDE;
    const room = this.#side + 2 * FRAME + GAP;
    const chosen: { row: number; x: number; y: number }[] = [];
    for (const row of inView.sort((a, b) => a - b)) {
      const place = this.#map.position(row);
      if (place === undefined) continue;
      const [x, y] = place;
      const isFree = chosen.every(
        (other) => Math.abs(other.x - x) >= room || Math.abs(other.y - y) >= room,
      );
      if (isFree) chosen.push({ row, x, y });
    }
    return chosen.map(({ row }) => row);
  }

  /** Draws with the next frame. */
  draw(): void {
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = undefined;
      this.#paint();
    });
  }

  #paint(): void {
    const canvas = this.#canvas;
    const scale = window.devicePixelRatio;
    const { width, height } = canvas.getBoundingClientRect();
    const [w, h] = [Math.round(width * scale), Math.round(height * scale)];
    if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
    const context = canvas.getContext("2d");
    if (context === null) return;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    const ink = getComputedStyle(canvas).color;
    for (const row of this.#rows) {
      const place = this.#map.position(row);
      const thumbnail = this.#thumbnails?.get(row) ?? null;
      if (place === undefined || thumbnail === null) continue;
      const side = this.#side;
      context.fillStyle = this.#colourOf(row);
      const framed = side + 2 * FRAME;
      context.fillRect(place[0] - framed / 2, place[1] - framed / 2, framed, framed);
      drawThumbnail(context, thumbnail, place[0] - side / 2, place[1] - side / 2, side);
    }
    context.strokeStyle = ink;
    for (const row of this.#neighbours) this.#ring(context, row, 6, 1.5);
    if (this.#current !== null) this.#ring(context, this.#current, 10, 3);
  }

  #colourOf(row: number): string {
    const { codes, colours } = this.#colours as Colouring;
    return colours[codes[row] as number] as string;
  }

  #ring(context: CanvasRenderingContext2D, row: number, radius: number, width: number): void {
    const place = row < this.#data.rows ? this.#map.position(row) : undefined;
    if (place === undefined) return;
    const isPicture = this.#rows.includes(row);
    context.lineWidth = width;
    context.beginPath();
    if (isPicture) {
      const side = this.#side + 4 * FRAME;
      context.rect(place[0] - side / 2, place[1] - side / 2, side, side);
    } else {
      context.arc(place[0], place[1], radius, 0, 2 * Math.PI);
    }
    context.stroke();
  }
}
