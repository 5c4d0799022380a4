import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { LiveLog } from "../../ts/runs/live_log.ts";
import { jsonLines, temporaryFolder } from "../support/cli.ts";
import { chosenSeed, seededRandom } from "../support/random.ts";

it("leaves out ever more pictures, never the last", async () => {
  const random = seededRandom(chosenSeed("pictures"));
  const folder = temporaryFolder();
  const log = new LiveLog(
    folder,
    (message) => expect.fail(message),
    () => {},
  );
  const shape = [8, 128, 128, 3] as const;
  // Noise, which no format makes smaller.
  const images = Uint8Array.from({ length: 8 * 128 * 128 * 3 }, () => 256 * random());
  for (let epoch = 1; epoch <= 21; epoch++) {
    log.note({ type: "reconstructions", epoch, shape, originals: images, reconstructions: images });
  }
  await log.end("finished", null);
  const pictures = jsonLines(readFileSync(join(folder, "reconstructions.jsonl"), "utf8"));
  const epochs = pictures.map(({ epoch }) => epoch);
  expect(epochs.slice(0, 4)).toEqual([0, 1, 2, 3]);
  expect(epochs.slice(-2)).toEqual([20, 21]);
  expect(epochs).not.toContain(19);
});

it("stops once for a folder that is called stop, and never for one that was there", async () => {
  const folder = temporaryFolder();
  let stops = 0;
  const warnings: string[] = [];
  const begin = () =>
    new LiveLog(
      folder,
      (message) => warnings.push(message),
      () => stops++,
    );
  const epoch = { type: "epoch" } as Parameters<LiveLog["note"]>[0];
  const log = begin();
  log.note(epoch);
  mkdirSync(join(folder, "stop"));
  log.note(epoch);
  log.note(epoch);
  expect([stops, warnings.length]).toEqual([1, 1]);
  const next = begin();
  next.note(epoch);
  expect([stops, warnings.length]).toEqual([1, 2]);
  // What they write in the background would lie in a folder that is being removed.
  await Promise.all([log.end("finished", null), next.end("finished", null)]);
});
