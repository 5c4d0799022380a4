import { describe, expect, it } from "vitest";
import { sweepRows, trainingOperations } from "../../bench/peers/sweep.mjs";
import { drawNetworks, SHAPES } from "../../bench/peers/sweep_networks.mjs";
import { resolveConfig, summary, type TrainingConfig } from "../../ts/index.js";
import { seededRandom } from "../../ts/random.js";

const line = (name: string, median: number, ratio: number | null) => ({
  name,
  imagesPerSecond: { median, min: median, max: median },
  ratio: ratio === null ? null : { median: ratio, min: ratio, max: ratio },
});

describe("the sweep of bench:peers", () => {
  it("has networks that can be trained, each of its own name", () => {
    for (const { settings } of SHAPES) {
      resolveConfig(settings);
      expect(summary(settings).macs).toBeGreaterThan(0);
    }
    expect(new Set(SHAPES.map(({ name }) => name)).size).toBe(SHAPES.length);
  });

  it("draws the same networks for a seed, and others for another", () => {
    const drawn = drawNetworks(5, seededRandom(26), summary);
    expect(drawNetworks(5, seededRandom(26), summary)).toEqual(drawn);
    expect(drawNetworks(5, seededRandom(27), summary)).not.toEqual(drawn);
    expect(drawn.map(({ name }) => name)).toEqual([
      "drawn1",
      "drawn2",
      "drawn3",
      "drawn4",
      "drawn5",
    ]);
    for (const { settings } of drawn) resolveConfig(settings as TrainingConfig);
  });

  it("counts what a direct convolution needs in training", () => {
    // One convolution and one dense layer; the gradient of the images is nobody's.
    const layers = [{ macs: 10 }, { macs: 0 }, { macs: 5 }];
    expect(trainingOperations({ macs: 15, layers })).toBe(2 * (3 * 15 - 10));
  });

  it("sorts by the lead over PyTorch's faster layout, and tells shares of the peak", () => {
    const network = (name: string, ours: number, ratios: [number, number]) => ({
      name,
      title: name,
      operations: 2e9,
      training: [
        {
          precision: "fp32",
          cpu: [
            line("flexible-autoencoder fp32 cpu", ours, null),
            line("PyTorch channels_last eager fp32 cpu", ours / ratios[0], ratios[0]),
            line("PyTorch nchw eager fp32 cpu", ours / ratios[1], ratios[1]),
          ],
        },
      ],
    });
    const lost = {
      name: "lost",
      title: "lost",
      operations: 1,
      training: [{ precision: "fp32", cpu: [line("flexible-autoencoder fp32 cpu", 1, null)] }],
    };
    const networks = [network("ahead", 50, [4, 2.5]), lost, network("behind", 30, [0.5, 3])];
    const rows = sweepRows(networks, "fp32", ["cpu"], 200);
    expect(rows.map((row: { name: string }) => row.name)).toEqual(["behind", "ahead"]);
    expect(rows[1]?.clocks[0]?.peer.name).toContain("nchw");
    expect(rows[1]?.shares[0]).toEqual({ ours: 0.5, peer: 0.2 });
    expect(sweepRows(networks, "bf16", ["cpu"], 200)).toEqual([]);
  });
});
