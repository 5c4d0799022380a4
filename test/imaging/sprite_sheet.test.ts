import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { drawSpriteSheet } from "../../ts/imaging/sprite_sheet.ts";
import { temporaryFolder } from "../support/cli.ts";
import { readImage, writeImage } from "../support/pixels.ts";
import { seededRandom } from "../support/random.ts";

const GREY = (value: number) => () => [value, value, value] as const;

describe("a sprite sheet", () => {
  it("has pictures in their form, row by row, and says which could not be read", async () => {
    const folder = temporaryFolder();
    const file = (name: string) => ({ file: join(folder, name) });
    writeImage(join(folder, "wide.ppm"), 100, 50, GREY(200));
    writeImage(join(folder, "small.ppm"), 5, 3, GREY(100));
    writeImage(join(folder, "tall.ppm"), 10, 400, GREY(50));
    writeFileSync(join(folder, "broken.png"), "no image");
    const files = ["wide.ppm", "broken.png", "small.ppm", "missing.png", "tall.ppm"].map(file);
    const { image, sizes } = await drawSpriteSheet(files, { side: 20, columns: 3, maxPixels: 1e6 });
    expect([...sizes]).toEqual([20, 10, 0, 0, 5, 3, 0, 0, 1, 20]);
    const path = join(folder, "sheet");
    writeFileSync(path, image);
    const sheet = await readImage(path);
    expect([sheet.width, sheet.height]).toEqual([60, 40]);
    // Grey drawings travel as they are.
    expect(image.subarray(1, 4).toString()).toBe("PNG");
    expect([sheet.at(0, 0), sheet.at(19, 9), sheet.at(19, 10)]).toEqual([
      [200, 200, 200],
      [200, 200, 200],
      [0, 0, 0],
    ]);
    expect([sheet.at(40, 0), sheet.at(44, 2), sheet.at(45, 2)]).toEqual([
      [100, 100, 100],
      [100, 100, 100],
      [0, 0, 0],
    ]);
    expect([sheet.at(20, 20), sheet.at(20, 39), sheet.at(21, 20)]).toEqual([
      [50, 50, 50],
      [50, 50, 50],
      [0, 0, 0],
    ]);
  });

  it("keeps colours, and takes JPEG of photographs", async () => {
    const folder = temporaryFolder();
    // Soft noise in each colour, and everywhere another, as no drawing has.
    const random = seededRandom(1);
    const photos = Array.from({ length: 16 }, (_, i) => {
      const file = join(folder, `${i}.ppm`);
      writeImage(file, 64, 64, (x, y) => [x + 40 * random(), y + 40 * random(), 99 * random()]);
      return { file };
    });
    writeImage(join(folder, "red.ppm"), 64, 64, () => [200, 30, 10]);
    const options = { side: 64, columns: 16, maxPixels: 1e6 };
    const photographs = await drawSpriteSheet(photos, options);
    expect([...photographs.image.subarray(0, 2)]).toEqual([0xff, 0xd8]);
    const red = await drawSpriteSheet([{ file: join(folder, "red.ppm") }], options);
    writeFileSync(join(folder, "sheet"), red.image);
    expect((await readImage(join(folder, "sheet"))).at(32, 32)).toEqual([200, 30, 10]);
  });

  it("shows the other files of a batch of which one is broken", async () => {
    const folder = temporaryFolder();
    const size = { width: 8, height: 8 };
    const files = Array.from({ length: 70 }, (_, i) => ({ file: join(folder, `${i}.ppm`), size }));
    for (const [i, { file }] of files.entries()) {
      if (i === 33) writeFileSync(file, "P6 8 8 255\n");
      else writeImage(file, 8, 8, GREY(i));
    }
    const { sizes } = await drawSpriteSheet(files, { side: 8, columns: 10, maxPixels: 1e6 });
    expect(files.map((_, i) => sizes[2 * i])).toEqual(files.map((_, i) => (i === 33 ? 0 : 8)));
  });
});
