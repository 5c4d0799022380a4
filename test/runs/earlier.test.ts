/** A run of an earlier version, killed there: `npm run test:compat -- --fixture` wrote it. */
import { cpSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createTraining, load } from "flexible-autoencoder";
import { describe, expect, it } from "vitest";
import { makeImages, writeImages } from "../../scripts/compat/images.mjs";
import { root, temporaryFolder } from "../support/cli.ts";

interface Output {
  shape: number[];
  data: number[];
}

const fixture = join(root, "test/fixtures/run");
const expected = JSON.parse(readFileSync(join(fixture, "expected.json"), "utf8")) as {
  memory: { train: number; valid: number; side: number };
  resumed: {
    epochsDone: number;
    batchesDone: number;
    losses: [epoch: number, train: number, valid: number][];
    valid: Record<"loss" | "accuracy" | "mse" | "psnr", number>;
  };
  models: { encode: Output; reconstruct: Output };
};
const { train, valid, side } = expected.memory;
const images = {
  train: makeImages(train, side, 1),
  valid: makeImages(valid, side, 2),
};

/** Another processor's loops round otherwise; `npm run test:compat` asks for equality on one. */
const TOLERANCE = 1e-6;

function expectClose(received: ArrayLike<number>, wanted: readonly number[]): void {
  expect(received.length).toBe(wanted.length);
  for (const [i, value] of wanted.entries()) {
    const error = Math.abs((received[i] as number) - value) / Math.max(1, Math.abs(value));
    expect(error, `${received[i]} for ${value}, number ${i}`).toBeLessThan(TOLERANCE);
  }
}

describe("a run of an earlier version", () => {
  it("left models that load and compute the same", async () => {
    const floats = Float32Array.from(images.valid, (value) => value / 255);
    const encoder = await load(join(fixture, "finished/en.pt"), { device: "cpu" });
    const embeddings = await encoder.encode(floats);
    encoder.dispose();
    expect(embeddings.shape).toEqual(expected.models.encode.shape);
    expectClose(embeddings.data, expected.models.encode.data);

    const autoencoder = await load(join(fixture, "finished/ae.pt"), { device: "cpu" });
    const pictures = await autoencoder.reconstruct(floats);
    expect(pictures.shape).toEqual(expected.models.reconstruct.shape);
    expectClose(pictures.data, expected.models.reconstruct.data);

    const folder = temporaryFolder();
    writeImages(folder, valid, side, 2);
    const scores = await autoencoder.evaluate(folder);
    autoencoder.dispose();
    const names = ["loss", "accuracy", "mse", "psnr"] as const;
    expectClose(
      names.map((name) => scores[name]),
      names.map((name) => expected.resumed.valid[name]),
    );
  });

  it("goes on where it was killed, to the same end", async () => {
    const folder = join(temporaryFolder(), "run");
    cpSync(join(fixture, "killed"), folder, { recursive: true });
    const training = createTraining({}, { resume: folder, images });
    const losses: number[][] = [];
    for await (const event of training) {
      if (event.type === "start") {
        const { epochsDone, batchesDone } = expected.resumed;
        expect(event).toMatchObject({ epochsDone, batchesDone });
        expect(epochsDone).toBeGreaterThan(0);
      }
      if (event.type === "epoch") losses.push([event.epoch, event.train.loss, event.valid.loss]);
    }
    expect(losses.map(([epoch]) => epoch)).toEqual(expected.resumed.losses.map(([epoch]) => epoch));
    expectClose(losses.flat(), expected.resumed.losses.flat());
    const { valid: scores } = await training.result;
    expectClose([scores?.loss as number], [expected.resumed.valid.loss]);
    expect(existsSync(join(folder, "ae.pt"))).toBe(true);
  });
});
