import { describe, expect, it } from "vitest";
import { resolveSettings, type Settings } from "../../ts/config/resolve.ts";
import { type Evidence, judge, type OutputStatistics } from "../../ts/report/verdict.ts";

/** A run of which all is well. */
const GOOD: Evidence = {
  state: "finished",
  settings: settingsWith({}),
  // As many as the default momentum of 0.99 asks for.
  batches: 500,
  epochs: epochsOf([0.5, 0.3, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.199]),
  mse: { train: 0.01, valid: 0.02 },
  bad: { images: 1, of: 100 },
  deviations: [1, 0.5, 0.011],
  images: 5,
  outputs: outputsWith({}),
};

function settingsWith(values: Partial<Settings>): Settings {
  return resolveSettings([{ values, spell: (name) => name }]);
}

function outputsWith(changed: Partial<OutputStatistics>): OutputStatistics {
  return { images: 5, saturated: 0.02, originalSpread: 0.2, outputSpread: 0.021, ...changed };
}

function epochsOf(validLosses: number[], losses = validLosses): Evidence["epochs"] {
  return validLosses.map((validLoss, i) => ({
    epoch: i + 1,
    loss: losses[i] as number,
    validLoss,
  }));
}

/** What is found with some of the evidence changed: names of rules, and what each says. */
function found(
  changed: Partial<Evidence>,
  part: "what" | "advice" = "what",
): Record<string, string> {
  const all = judge({ ...GOOD, ...changed });
  return Object.fromEntries(
    all.flatMap(({ rule, finding }) => (finding ? [[rule.name, finding[part]]] : [])),
  );
}

/** Rules that could not be judged. */
function open(changed: Partial<Evidence>): string[] {
  const all = judge({ ...GOOD, ...changed });
  return all.flatMap(({ rule, finding }) => (finding === undefined ? [rule.name] : []));
}

describe("the verdict", () => {
  it("finds nothing at the thresholds", () => {
    expect(judge(GOOD).map(({ finding }) => finding)).toEqual(Array(7).fill(null));
  });

  it("does not judge what is not known", () => {
    const all = judge({
      state: "interrupted",
      settings: null,
      epochs: GOOD.epochs.slice(0, 4),
      batches: null,
      mse: null,
      bad: null,
      deviations: null,
      images: null,
      outputs: null,
    });
    expect(all.map(({ finding }) => finding)).toEqual(Array(7).fill(undefined));
  });

  it("sees a loss that still falls, unless the training stopped by itself", () => {
    const epochs = epochsOf([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.19, 0.18]);
    expect(found({ epochs })).toEqual({
      "Still falling":
        "The validation loss still fell at the end, by 26 % within the last 2 epochs.",
    });
    expect(found({ epochs, state: "early" })).toEqual({});
  });

  it("sees overfitting, but no rise of both losses", () => {
    const rising = [0.5, 0.3, 0.2, 0.21, 0.212];
    expect(found({ epochs: epochsOf(rising, [0.5, 0.3, 0.2, 0.15, 0.1]) })).toEqual({
      Overfitting: "Since epoch 3 the validation loss rose by 6.0 % while the training loss fell.",
    });
    expect(found({ epochs: epochsOf(rising) })).toEqual({});
  });

  it.each<[string, Partial<Evidence>, RegExp]>([
    ["Gap between sets", { mse: { train: 0.01, valid: 0.021 } }, /is 2\.1 times/],
    ["Dead embedding dimensions", { deviations: [1, 0.009, 0] }, /^2 of the 3 dimensions/],
    ["Dead embedding dimensions", { deviations: [0, 0] }, /^2 of the 2 dimensions/],
    [
      "Saturated outputs",
      { outputs: outputsWith({ saturated: 0.021, outputSpread: 0.1 }) },
      /^2\.1 % /,
    ],
    [
      "Reconstructions all alike",
      { outputs: outputsWith({ saturated: 0, outputSpread: 0.019 }) },
      /9\.5 %/,
    ],
    ["Bad images", { bad: { images: 2, of: 100 } }, /^2\.0 % /],
  ])("sees %s", (name, changed, what) => {
    const all = found(changed);
    expect(Object.keys(all)).toEqual([name]);
    expect(all[name]).toMatch(what);
  });

  it("waits with overfitting until batch normalization's averages have caught up", () => {
    const epochs = epochsOf([0.5, 0.3, 0.2, 0.21, 0.25], [0.5, 0.3, 0.2, 0.15, 0.1]);
    expect(open({ epochs, batches: 499 })).toEqual(["Overfitting"]);
    expect(open({ epochs, batches: null })).toEqual(["Overfitting"]);
    expect(Object.keys(found({ epochs, batches: 500 }))).toEqual(["Overfitting"]);
    const settings = settingsWith({ batch_norm_momentum: 0.9 });
    expect(Object.keys(found({ epochs, batches: 50, settings }))).toEqual(["Overfitting"]);
  });

  it("says nothing of how few images, or images that are the same, differ", () => {
    const [dead, alike] = ["Dead embedding dimensions", "Reconstructions all alike"];
    const deviations = [1, 0];
    const outputSpread = 0;
    const few = { deviations, images: 4, outputs: outputsWith({ images: 4, outputSpread }) };
    expect(open(few)).toEqual([dead, alike]);
    const same = { deviations, outputs: outputsWith({ originalSpread: 9e-4, outputSpread }) };
    expect(open(same)).toEqual([dead, alike]);
  });

  it("does not judge losses that are not numbers", () => {
    const epochs = epochsOf([0.5, 0.3, 0.2, 0.21, Number.NaN]);
    expect(open({ epochs })).toEqual(["Still falling", "Overfitting"]);
    expect(open({ mse: { train: 0.01, valid: Number.NaN } })).toEqual(["Gap between sets"]);
  });

  it("advises what bears on the finding, and is not so already", () => {
    const dead = (values: Partial<Settings>) =>
      found({ deviations: [1, 0], settings: settingsWith(values) }, "advice")[
        "Dead embedding dimensions"
      ];
    expect(dead({ last_activation: "relu" })).toMatch(
      /--dims.*, or --last-activation elu in place of relu\.$/,
    );
    expect(dead({ activation: "relu" })).toMatch(/--dims.*: a smaller --learning-rate\.$/);
    const maps = { AutoencoderMLP_switch: false, last_activation: "relu" } as const;
    expect(dead({ ...maps, activation: "elu" })).not.toMatch(/--dims|activation/);
    expect(dead({ ...maps, activation: "relu" })).toMatch(/--activation elu in place of relu/);

    const gap = (values: Partial<Settings>) =>
      found({ mse: { train: 1, valid: 3 }, settings: settingsWith(values) }, "advice")[
        "Gap between sets"
      ];
    expect(gap({ horizontal_flip: true, vertical_flip: true })).not.toMatch(/flip/);
    expect(gap({ horizontal_flip: true, vertical_flip: false })).toMatch(
      /images, --vertical-flip if/,
    );

    const alike = (values: Partial<Settings>) => {
      const outputs = outputsWith({ outputSpread: 0 });
      return found({ outputs, settings: settingsWith(values) }, "advice")[
        "Reconstructions all alike"
      ];
    };
    expect(alike({})).toMatch(/--dims/);
    expect(alike({ AutoencoderMLP_switch: false })).not.toMatch(/--dims/);
    const saturated = found({ outputs: outputsWith({ saturated: 0.5 }) }, "advice");
    expect(saturated["Saturated outputs"]).not.toMatch(/activation/);
  });
});
