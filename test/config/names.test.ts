import { describe, expect, it } from "vitest";
import { editDistance, kebabCase, nameKey, nearestName, snakeCase } from "../../ts/config/names.ts";
import { findParameter, flagName, PARAMETERS, parameterNames } from "../../ts/config/parameters.ts";

describe("names", () => {
  it.each([
    ["train_epochs", "train-epochs"],
    ["imageShape", "image-shape"],
    ["dropRate", "drop-rate"],
    ["AutoencoderMLP_switch", "autoencoder-mlp-switch"],
    ["preTrain_verbose", "pre-train-verbose"],
  ])("spells %s as %s", (name, kebab) => {
    expect(kebabCase(name)).toBe(kebab);
    expect(nameKey(kebab)).toBe(nameKey(name));
  });

  it("puts Keras's class names in snake case", () => {
    expect(snakeCase("GlorotUniform")).toBe("glorot_uniform");
    expect(snakeCase("MinMaxNorm")).toBe("min_max_norm");
    expect(snakeCase("leaky-relu")).toBe("leaky_relu");
  });

  it("measures edits", () => {
    expect(editDistance("", "abc")).toBe(3);
    expect(editDistance("kitten", "sitting")).toBe(3);
    expect(editDistance("relu", "rleu")).toBe(1);
    expect(editDistance("same", "same")).toBe(0);
  });

  it("offers the nearest name, and none for a stranger", () => {
    expect(nearestName("train_epoch", parameterNames())).toBe("train_epochs");
    expect(nearestName("epochs", parameterNames())).toBe("train_epochs");
    expect(nearestName("droprte", parameterNames())).toBe("dropRate");
    expect(nearestName("xyzzyplugh", parameterNames())).toBeUndefined();
  });
});

describe("the table of parameters", () => {
  it("finds every parameter in each of its spellings, and no two in one", () => {
    const keys = parameterNames().map(nameKey);
    expect(new Set(keys).size).toBe(keys.length);
    for (const parameter of PARAMETERS) {
      expect(findParameter(parameter.name)).toBe(parameter);
      expect(findParameter(flagName(parameter))).toBe(parameter);
      expect(findParameter(flagName(parameter).replace(/-/g, "_"))).toBe(parameter);
    }
  });

  it("has the defaults of the Keras program", () => {
    const value = (name: string) => findParameter(name)?.default;
    expect(value("imageShape")).toEqual([256, 256]);
    expect(value("train_epochs")).toBe(100);
    expect(value("batch_size")).toBe(32);
    expect(value("filters")).toEqual([32, 64, 128, 256]);
    expect(value("pooling")).toEqual(["avg", "avg", "no", "no"]);
    expect(value("kernel_size")).toEqual([5, 5, 3]);
    expect(value("strides")).toEqual([2, 2, 2]);
    expect(value("activation")).toBe("elu");
    expect(value("last_activation")).toBe("selu");
    expect(value("optimizer")).toBe("adadelta");
    expect(value("dropRate")).toBe(0.5);
    expect(value("dims")).toEqual([1000]);
    expect(value("save_prefix")).toBe("AE");
  });
});
