/** What is written computes what the native pass does: every kind of layer, drawn weights. */

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ACTIVATIONS } from "../../ts/config/choices.ts";
import { exportModel, type Verified } from "../../ts/index.ts";
import { temporaryFolder } from "../support/cli.ts";
import { drawnModel, NETWORKS, type NetworkSettings, SMALL } from "../support/networks.ts";
import { chosenSeed, seededRandom } from "../support/random.ts";

const ALL = ["onnx", "pytorch", "safetensors", "keras", "torchscript"];
const FILES: Record<string, string[]> = {
  onnx: ["ae.onnx", "en.onnx"],
  pytorch: ["model.safetensors"],
  safetensors: ["model.safetensors"],
  keras: ["ae.keras", "en.keras", "ae_weights.h5", "en_weights.h5"],
  torchscript: ["ae.pt", "en.pt"],
};

const seed = chosenSeed("exports of drawn networks");

const CASES: Record<string, NetworkSettings> = {
  ...NETWORKS,
  // Hidden and last activation differ, so that a mix-up of the two shows.
  ...Object.fromEntries(
    ACTIVATIONS.map((activation, i) => [
      `activation ${activation}`,
      { ...SMALL, activation, last_activation: ACTIVATIONS[(i + 4) % ACTIVATIONS.length] },
    ]),
  ),
};

/** Of one of them nothing is drawn but weights; of another, whatever may be. */
function drawnSettings(random: () => number): NetworkSettings {
  const one = <T>(values: readonly T[]) => values[Math.floor(random() * values.length)] as T;
  // Of an exponential of what is not normalized, numbers are soon too large.
  const finite = ACTIVATIONS.filter((name) => name !== "exponential");
  const several = <T>(values: readonly T[]) => [one(values), one(values), one(values)];
  return {
    imageShape: [48 + Math.floor(32 * random()), 48 + Math.floor(32 * random())],
    channels: one([1, 3]),
    filters: several([3, 4, 8, 9]),
    kernel_size: several([1, 2, 3, 4, 5, 6]),
    strides: several([1, 2, 2]),
    pooling: several(["no", "avg", "max"]),
    dims: one([[5], [16, 3], [20, 10, 6]]),
    AutoencoderMLP_switch: random() < 0.8,
    use_bias: random() < 0.7,
    activation: one(finite),
    last_activation: one(finite),
    interpolation: one(["area", "bilinear", "nearest"]),
    dropRate: one([0, 0.2]),
  };
}

function expectVerified(
  found: readonly Verified[],
  formats: readonly string[],
  settings: NetworkSettings = {},
): void {
  const isExponential = Object.values(settings).includes("exponential");
  expect(found.map(({ format }) => format)).toEqual(formats);
  for (const { format, files, images, embedding, reconstruction } of found) {
    expect(files).toEqual(FILES[format]);
    expect(images).toBe(2);
    // What is exponential makes more of the last bits.
    expect(embedding).toBeLessThanOrEqual(isExponential ? 1e-3 : 1e-5);
    expect(reconstruction).toBeLessThanOrEqual(isExponential ? 1e-3 : 1e-5);
    // Others hold the bits that ran; a graph is computed in another way.
    if (format === "onnx") expect(embedding + reconstruction).toBeGreaterThan(0);
    else expect(embedding + reconstruction).toBe(0);
  }
}

describe("exports of drawn weights", () => {
  it.each(Object.entries(CASES))(
    "compute what the native pass does: %s",
    async (name, settings) => {
      const folder = temporaryFolder();
      const random = seededRandom(seed);
      const model = await drawnModel(join(folder, "run"), settings, random);
      const to = name in NETWORKS ? ALL : ["onnx", "keras"];
      const out = join(folder, "out");
      expectVerified((await exportModel(model, { to, out })).verified, to, settings);
      expect(readdirSync(out)).not.toContain("taken-back");
      const bytes = await exportModel(model, {
        to: "onnx",
        input: "uint8",
        out: join(folder, "u"),
      });
      expectVerified(bytes.verified, ["onnx"], settings);
    },
  );

  it.each(["area", "bilinear", "nearest"])(
    "resize by %s as training does",
    async (interpolation) => {
      for (const given of [SMALL, { ...SMALL, channels: 3, imageShape: [23, 9] }]) {
        const folder = temporaryFolder();
        const settings = { ...given, interpolation };
        const model = await drawnModel(join(folder, "run"), settings, seededRandom(seed));
        const options = { to: "onnx", withResize: true, out: join(folder, "out") };
        expectVerified((await exportModel(model, options)).verified, ["onnx"]);
        const half = await exportModel(model, { ...options, half: true });
        expectVerified(half.verified, ["onnx"]);
      }
    },
  );

  it("compute it with weights in fp16, too, beside rounded weights", async () => {
    const folder = temporaryFolder();
    const model = await drawnModel(join(folder, "run"), SMALL, seededRandom(seed));
    const to = ["onnx", "pytorch", "safetensors"];
    const { verified, half } = await exportModel(model, {
      to,
      half: true,
      out: join(folder, "out"),
    });
    expectVerified(verified, to);
    expect(half?.outputs.embedding).toBeGreaterThan(1e-5);
  });

  it("compute it whatever is drawn", async () => {
    const random = seededRandom(seed + 1);
    for (let i = 0; i < 6; i++) {
      const settings = drawnSettings(random);
      const folder = temporaryFolder();
      const model = await drawnModel(join(folder, "run"), settings, random);
      const options = { to: ["onnx", "keras"], out: join(folder, "out"), withResize: i % 2 === 1 };
      const { verified } = await exportModel(model, options).catch((error: unknown) => {
        throw new Error(JSON.stringify(settings), { cause: error });
      });
      expectVerified(verified, ["onnx", "keras"], settings);
    }
  });
});
