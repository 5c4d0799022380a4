import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, inject, it } from "vitest";
import {
  type ContactSheetOptions,
  type Tile,
  writeContactSheet,
} from "../../ts/imaging/contact_sheet.ts";
import { root, temporaryFolder } from "../support/cli.ts";
import { type Image, readImage, writeImage } from "../support/pixels.ts";

const WHITE = [255, 255, 255];
/** Where the square of the first tile begins, and how far the next ones are. */
const [LEFT, TOP] = [19, 53];
const [RIGHT, DOWN] = [112, 127];

let folder: string;
beforeEach(() => {
  folder = temporaryFolder();
});

async function draw(
  tiles: readonly Tile[],
  options: Partial<ContactSheetOptions> = {},
): Promise<Image & { unreadable: string[] }> {
  const path = join(folder, "sheet.png");
  const contents = { title: "cluster 3: 812 images", note: "7 96 %", tiles };
  const unreadable = await writeContactSheet(path, contents, { maxPixels: 1e8, ...options });
  return { ...(await readImage(path)), unreadable };
}

/** Whether some pixel of these columns and rows is not white. */
function inked(sheet: Image, x: readonly [number, number], y: readonly [number, number]): boolean {
  for (let row = y[0]; row < y[1]; row++) {
    for (let column = x[0]; column < x[1]; column++) {
      if (sheet.at(column, row).some((value) => value !== 255)) return true;
    }
  }
  return false;
}

describe("writeContactSheet", () => {
  it("enlarges small images by a whole number, pixel by pixel", async () => {
    const file = join(inject("digits"), "train/digit_3/004.png");
    const [sheet, digit] = [await draw([{ pictures: [{ file }] }]), await readImage(file)];
    expect([sheet.width, sheet.height]).toEqual([2 * 16 + 10 * 112 - 10, 50 + 127 - 10 + 16]);
    // 3 times 28 is 84, in the middle of 96.
    for (let y = 0; y < 84; y++) {
      for (let x = 0; x < 84; x++) {
        expect(sheet.at(LEFT + 6 + x, TOP + 6 + y)).toEqual(digit.at((x / 3) | 0, (y / 3) | 0));
      }
    }
    expect(sheet.at(LEFT + 5, TOP + 6)).toEqual(WHITE);
    expect(sheet.at(LEFT + 6 + 84, TOP + 6 + 83)).toEqual(WHITE);
  });

  it("reduces large images by area, and keeps their aspect ratio and colours", async () => {
    const file = join(folder, "wide.ppm");
    // Columns of red and of blue, four a pixel of the sheet, on a picture four times as wide as it.
    writeImage(file, 384, 128, (x) => (x % 2 === 0 ? [200, 0, 40] : [100, 80, 40]));
    for (const size of [undefined, { width: 384, height: 128 }]) {
      const sheet = await draw([{ pictures: [{ file, size }] }]);
      for (const [x, y] of [
        [0, 32],
        [95, 63],
        [50, 40],
      ] as const) {
        expect(sheet.at(LEFT + x, TOP + y)).toEqual([150, 40, 40]);
      }
      expect(sheet.at(LEFT + 50, TOP + 31)).toEqual(WHITE);
      expect(sheet.at(LEFT + 50, TOP + 64)).toEqual(WHITE);
    }
  });

  it("turns photos as their EXIF orientation says", async () => {
    const sheet = await draw([
      { pictures: [{ file: join(root, "test/fixtures/images/turned6.jpg") }] },
    ]);
    const turned = await readImage(join(root, "test/fixtures/images/turned6.jpg"));
    const { width, height } = turned;
    const factor = Math.floor(96 / Math.max(width, height));
    const [x, y] = [(96 - factor * width) >> 1, (96 - factor * height) >> 1];
    expect(sheet.at(LEFT + x, TOP + y)).toEqual(turned.at(0, 0));
    const last = [x + factor * width - 1, y + factor * height - 1] as const;
    expect(sheet.at(LEFT + last[0], TOP + last[1])).toEqual(turned.at(width - 1, height - 1));
  });

  it("shows several pictures in a tile, of files and of pixels, in a frame", async () => {
    const file = join(folder, "a.ppm");
    writeImage(file, 96, 48, () => [1, 2, 3]);
    const gray = {
      pixels: new Uint8Array(16).fill(77),
      shape: { channels: 1, height: 4, width: 4 },
    };
    const pixels = Uint8Array.from({ length: 3 * 200 * 200 }, (_, i) => (i < 200 * 200 ? 250 : 5));
    const color = { pixels, shape: { channels: 3, height: 200, width: 200 } };
    const tile: Tile = { pictures: [{ file }, gray, color], border: [9, 200, 30] };
    const sheet = await draw([tile, tile], { columns: 2 });
    const step = 3 * 96 + 2 * 2 + 6 + 10;
    expect(sheet.width).toBe(2 * 16 + 2 * step - 10);
    for (const left of [LEFT, LEFT + step]) {
      expect(sheet.at(left + 40, TOP + 48)).toEqual([1, 2, 3]);
      expect(sheet.at(left + 40, TOP + 10)).toEqual(WHITE);
      expect(sheet.at(left + 98 + 48, TOP + 48)).toEqual([77, 77, 77]);
      expect(sheet.at(left + 2 * 98 + 48, TOP + 48)).toEqual([250, 5, 5]);
      for (const [x, y] of [
        [-3, -3],
        [-1, 50],
        [2 * 98 + 96, 40],
        [2 * 98 + 98, 98],
      ] as const) {
        expect(sheet.at(left + x, TOP + y)).toEqual([9, 200, 30]);
      }
      expect(sheet.at(left - 4, TOP + 50)).toEqual(WHITE);
    }
  });

  it("goes on in the next row, at the size that is asked for", async () => {
    const tiles = Array.from({ length: 7 }, (_, i): Tile => {
      const file = join(folder, `${i}.ppm`);
      writeImage(file, 50, 50, () => [10 * i, 0, 0]);
      return { pictures: [{ file }] };
    });
    const sheet = await draw(tiles, { columns: 3, size: 50 });
    expect([sheet.width, sheet.height]).toEqual([2 * 16 + 3 * 66 - 10, 50 + 3 * 81 - 10 + 16]);
    for (let i = 0; i < 7; i++) {
      const [x, y] = [LEFT + (i % 3) * 66, TOP + Math.floor(i / 3) * 81];
      expect(sheet.at(x, y)).toEqual([10 * i, 0, 0]);
      expect(sheet.at(x + 49, y + 49)).toEqual([10 * i, 0, 0]);
    }
  });

  it("shows a grey square with an x for what cannot be read, and names it", async () => {
    const [good, empty, gone] = ["good.ppm", "empty.png", "gone.jpg"].map((name) =>
      join(folder, name),
    ) as [string, string, string];
    writeImage(good, 96, 96, () => [0, 255, 0]);
    writeFileSync(empty, "");
    const size = { width: 10, height: 10 };
    const sheet = await draw([
      { pictures: [{ file: empty }] },
      { pictures: [{ file: good }] },
      { pictures: [{ file: gone }] },
      { pictures: [{ file: gone, size }] },
    ]);
    expect(sheet.unreadable).toEqual([empty, gone, gone]);
    for (const i of [0, 2, 3]) {
      expect(sheet.at(LEFT + i * RIGHT, TOP)).toEqual([226, 226, 226]);
      expect(sheet.at(LEFT + i * RIGHT + 48, TOP + 48)).toEqual([150, 150, 150]);
    }
    expect(sheet.at(LEFT + RIGHT, TOP)).toEqual([0, 255, 0]);
    // Too many pixels for the limit is as good as unreadable.
    expect((await draw([{ pictures: [{ file: good }] }], { maxPixels: 9000 })).unreadable).toEqual([
      good,
    ]);
  });

  it("keeps titles and captions in their places, whatever they say", async () => {
    const file = join(folder, "a.ppm");
    writeImage(file, 96, 96, () => [0, 0, 0]);
    const caption = `photos/Zürich \u{1f40b} ${"very ".repeat(40)}long/IMG_0001.jpg`;
    const tile = { pictures: [{ file }], caption };
    const sheet = await draw([tile, { ...tile, caption: undefined }, tile], { columns: 3 });
    const captions = [TOP + 96 + 3, TOP + DOWN - 10] as const;
    for (const [i, expected] of [true, false, true].entries()) {
      const left = LEFT + i * RIGHT;
      expect(inked(sheet, [left, left + 96], captions)).toBe(expected);
      expect(inked(sheet, [left + 97, left + RIGHT - 1], captions)).toBe(false);
    }
    expect(inked(sheet, [16, 200], [16, 40])).toBe(true);
    const path = join(folder, "long.png");
    const title = "a title that is wider than its sheet";
    await writeContactSheet(path, { title, note: title, tiles: [] }, { maxPixels: 1, columns: 1 });
    const long = await readImage(path);
    expect(inked(long, [16, long.width - 16], [0, long.height])).toBe(true);
    expect(inked(long, [long.width - 15, long.width], [0, long.height])).toBe(false);
  });

  it("ends when it is told to, and leaves nothing", async () => {
    const file = join(folder, "a.ppm");
    writeImage(file, 8, 8, () => [0, 0, 0]);
    const reason = new Error("enough");
    const tiles = [{ pictures: [{ file }] }];
    await expect(draw(tiles, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(readdirSync(folder)).toEqual(["a.ppm"]);
    const path = join(folder, "none", "sheet.png");
    await expect(
      writeContactSheet(path, { title: "", tiles }, { maxPixels: 100 }),
    ).rejects.toMatchObject({ code: "FLEXAE_IO", message: expect.stringContaining(path) });
    expect(existsSync(join(folder, "none"))).toBe(false);
  });
});
