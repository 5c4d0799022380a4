import { describe, expect, it } from "vitest";
import { type Evidence, judge } from "../../ts/report/verdict.ts";

/** A run of which all is well. */
const GOOD: Evidence = {
  state: "finished",
  epochs: epochsOf([0.5, 0.3, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.199]),
  mse: { train: 0.01, valid: 0.02 },
  bad: { images: 1, of: 100 },
  deviations: [1, 0.5, 0.011],
  outputs: { saturated: 0.02, originalSpread: 0.2, outputSpread: 0.021 },
};

function epochsOf(validLosses: number[], losses = validLosses): Evidence["epochs"] {
  return validLosses.map((validLoss, i) => ({
    epoch: i + 1,
    loss: losses[i] as number,
    validLoss,
  }));
}

/** What is found with some of the evidence changed: names of rules, and what each says. */
function found(changed: Partial<Evidence>): Record<string, string> {
  const all = judge({ ...GOOD, ...changed });
  return Object.fromEntries(
    all.flatMap(({ rule, finding }) => (finding ? [[rule.name, finding.what]] : [])),
  );
}

describe("the verdict", () => {
  it("finds nothing at the thresholds", () => {
    expect(judge(GOOD).map(({ finding }) => finding)).toEqual(Array(7).fill(null));
  });

  it("does not judge what is not known", () => {
    const nothing = { mse: null, bad: null, deviations: null, outputs: null };
    const all = judge({ state: "interrupted", epochs: GOOD.epochs.slice(0, 4), ...nothing });
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
      { outputs: { saturated: 0.021, originalSpread: 0.2, outputSpread: 0.1 } },
      /^2\.1 % /,
    ],
    [
      "Reconstructions all alike",
      { outputs: { saturated: 0, originalSpread: 0.2, outputSpread: 0.019 } },
      /9\.5 %/,
    ],
    ["Bad images", { bad: { images: 2, of: 100 } }, /^2\.0 % /],
  ])("sees %s", (name, changed, what) => {
    const all = found(changed);
    expect(Object.keys(all)).toEqual([name]);
    expect(all[name]).toMatch(what);
  });
});
