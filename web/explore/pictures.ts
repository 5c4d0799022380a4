/** What lies above the points: thumbnails where there is room, and rings around single ones. */
import type { Colouring } from "./colours.ts";
import type { Data } from "./data.ts";
import type { PointMap } from "./map.ts";
import { drawThumbnail, SHEETS_AT_ONCE, type Thumbnails } from "./thumbnails.ts";

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
/** Of a thumbnail, in the colour of its point; of one that is selected, one more around it. */
const FRAME = 2;
/** Half of the cross in the middle. */
const CROSS = 7;
/** Milliseconds between two looks at what is in the picture. */
const LOOKED_EVERY = 120;

/** Draws them. */
export class Pictures {
  readonly #canvas: HTMLCanvasElement;
  readonly #map: PointMap;
  readonly #data: Data;
  readonly #thumbnails: Thumbnails | null;
  readonly #isSelected: (row: number) => boolean;
  #side = SIDE;
  /** Rows whose thumbnails are drawn. */
  #rows: number[] = [];
  /** Rows that filters leave; null: all. */
  #shown: readonly number[] | null = null;
  #current: number | null = null;
  #neighbours: readonly number[] = [];
  #isWanted = true;
  #colours: Colouring | undefined;
  #lookTimer: number | undefined;
  #frame: number | undefined;

  constructor(
    canvas: HTMLCanvasElement,
    map: PointMap,
    data: Data,
    thumbnails: Thumbnails | null,
    isSelected: (row: number) => boolean,
  ) {
    this.#isSelected = isSelected;
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

  /** Rows that filters leave, in their order; null: all. */
  set shown(rows: readonly number[] | null) {
    this.#shown = rows;
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
    this.look();
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
    this.#rows = this.#isWanted && this.#thumbnails !== null ? this.#choose(this.#thumbnails) : [];
    this.#canvas.dataset.thumbnails = String(this.#rows.length);
    this.draw();
  }

  /** Rows in the picture; null of too many. */
  #inView(): number[] | null {
    const shown = this.#shown;
    if (shown !== null && shown.length <= SURELY_TOO_MANY) {
      return this.#map.inPicture(shown);
    }
    if (this.#map.shareInView(SAMPLE) * this.#data.rows > SURELY_TOO_MANY) return null;
    if (shown === null) return this.#map.inView();
    const isShown = new Set(shown);
    return this.#map.inView().filter((row) => isShown.has(row));
  }

  /**
   * As many as there is room for. First comes the image that is looked at, then its neighbours, then
   * lower rows, which stay while the map moves.
   */
  #choose(thumbnails: Thumbnails): number[] {
    const inView = this.#inView();
    if (inView === null || inView.length > MOST_IN_VIEW) return [];
    this.#side = inView.length > FEW ? SIDE : LARGE_SIDE;
    const room = this.#side + 2 * FRAME + GAP;
    const chosen: { row: number; x: number; y: number }[] = [];
    const sheets = new Set<number>();
    const first = new Map([this.#current, ...this.#neighbours].map((row, i) => [row, i]));
    const rank = (row: number) => first.get(row) ?? first.size + row;
    for (const row of inView.sort((a, b) => rank(a) - rank(b))) {
      const place = this.#map.position(row);
      if (place === undefined) continue;
      const [x, y] = place;
      const isFree = chosen.every(
        (other) => Math.abs(other.x - x) >= room || Math.abs(other.y - y) >= room,
      );
      if (!isFree) continue;
      const sheet = thumbnails.sheetOf(row);
      if (!sheets.has(sheet) && sheets.size === SHEETS_AT_ONCE) continue;
      sheets.add(sheet);
      chosen.push({ row, x, y });
    }
    return chosen.map(({ row }) => row);
  }

  /** The image whose thumbnail is at a place, in CSS pixels; null where there is none. */
  at(x: number, y: number): number | null {
    const half = this.#side / 2 + FRAME;
    const found = this.#rows.findLast((row) => {
      const place = this.#map.position(row);
      return place && Math.abs(place[0] - x) <= half && Math.abs(place[1] - y) <= half;
    });
    return found ?? null;
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
      if (this.#isSelected(row)) {
        const outer = framed + 2 * FRAME;
        context.save();
        context.fillStyle = ink;
        context.fillRect(place[0] - outer / 2, place[1] - outer / 2, outer, outer);
        context.restore();
      }
      context.fillRect(place[0] - framed / 2, place[1] - framed / 2, framed, framed);
      drawThumbnail(context, thumbnail, place[0] - side / 2, place[1] - side / 2, side);
    }
    context.strokeStyle = ink;
    for (const row of this.#neighbours) this.#ring(context, row, 6, 1.5);
    if (this.#current !== null) this.#ring(context, this.#current, 10, 3);
    if (this.#map.canvas.matches(":focus-visible")) this.#cross(context, width / 2, height / 2);
  }

  /** What the keyboard takes is in the middle. */
  #cross(context: CanvasRenderingContext2D, x: number, y: number): void {
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(x - CROSS, y);
    context.lineTo(x + CROSS, y);
    context.moveTo(x, y - CROSS);
    context.lineTo(x, y + CROSS);
    context.stroke();
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
