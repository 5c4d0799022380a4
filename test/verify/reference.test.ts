/** How far an exported file may be from the native pass. */
import { join } from "node:path";
import { expect, it } from "vitest";
import { readReference } from "../../ts/export/reference.ts";
import { temporaryFolder } from "../support/cli.ts";
import { drawnModel, SMALL } from "../support/networks.ts";
import { chosenSeed, seededRandom } from "../support/random.ts";

const seed = chosenSeed("references");

async function toleranceOf(settings: Parameters<typeof drawnModel>[1]) {
  const model = await drawnModel(join(temporaryFolder(), "run"), settings, seededRandom(seed));
  return (await readReference(model, false)).tolerance;
}

it("lets sums of very many products differ by their order, and others by no more than usual", async () => {
  const plain = { ...SMALL, activation: "relu", last_activation: "linear" };
  expect((await toleranceOf(plain)).embedding).toBeLessThan(1e-3);
  // 512 × 512 values of one filter go into each number of the embedding.
  const wide = {
    ...plain,
    imageShape: [512, 512] as [number, number],
    filters: [1],
    kernel_size: [1],
    strides: [1],
    pooling: ["no" as const],
    dims: [2],
  };
  expect((await toleranceOf(wide)).embedding).toBeGreaterThanOrEqual(512 * 2 ** -24);
});
