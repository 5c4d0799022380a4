/** Whatever a setting may be in TypeScript it may be in C++, and nothing else. */
import { describe, expect, it } from "vitest";
import { callAddon } from "../../ts/addon/loader.ts";
import { toLoadOptions } from "../../ts/config/data.ts";
import { jsonKeys, toNetwork, toTrainingJson } from "../../ts/config/network.ts";
import { expectedText, PARAMETERS, type Parameter } from "../../ts/config/parameters.ts";
import { resolveSettings } from "../../ts/config/resolve.ts";

const DEFAULTS = resolveSettings([]);

/** The message of a refusal; "" where there is none. */
function refusal(work: () => unknown): string {
  try {
    work();
    return "";
  } catch (error) {
    return (error as Error).message;
  }
}

function inTypeScript(name: string, value: unknown): string {
  return refusal(() => resolveSettings([{ values: { [name]: value }, spell: (n) => n }]));
}

/** What the addon says of a training on no images, which it asks for after all else. */
function train(changes: { model?: object; training?: object; load?: object; share?: number }) {
  return refusal(() =>
    callAddon((addon) =>
      addon.train(
        {
          configJson: JSON.stringify({ model: { ...toNetwork(DEFAULTS), ...changes.model } }),
          training: JSON.stringify({
            ...JSON.parse(toTrainingJson(DEFAULTS)),
            ...changes.training,
          }),
          load: { ...toLoadOptions(DEFAULTS), ...changes.load },
          maxBadShare: changes.share ?? 0,
          train: { files: [] },
          valid: { files: [] },
          runDir: "",
          settingsJson: "",
          resumeFrom: "",
          weightsFrom: "",
          partialWeights: false,
          progressInterval: 100,
        },
        () => {},
      ),
    ),
  );
}

function inCpp(parameter: Parameter, value: unknown): string {
  const { name, part, entries } = parameter;
  const keys = jsonKeys(parameter);
  const members = Object.fromEntries(
    keys.map((key, i) => [key, entries === undefined ? value : (value as unknown[])[i]]),
  );
  if (part === "network") {
    const network: Record<string, unknown> = { ...toNetwork(DEFAULTS), ...members };
    const layers = (network.filters as unknown[]).length;
    for (const p of PARAMETERS.filter(({ perLayer }) => perLayer)) {
      const key = jsonKeys(p)[0] as string;
      const list = network[key] as unknown[];
      if (list.length === 0) continue;
      network[key] = Array.from({ length: layers }, (_, i) => list[i] ?? list.at(-1));
    }
    return train({ model: network });
  }
  if (part === "training") return train({ training: members });
  if (name === "max_bad") return train({ share: value as number });
  return train({ load: members });
}

/** The doubles next to a number. */
function neighbours(value: number): [number, number] {
  if (value === 0) return [-Number.MIN_VALUE, Number.MIN_VALUE];
  const one = new Float64Array([value]);
  const bits = new BigInt64Array(one.buffer);
  const at = bits[0] as bigint;
  const step = (by: bigint) => {
    bits[0] = at + by;
    return one[0] as number;
  };
  return value > 0 ? [step(-1n), step(1n)] : [step(1n), step(-1n)];
}

/** Numbers at a row's bounds, just inside and just outside, each with whether it is allowed. */
function numbers({ among, bounds }: Parameter): [number, boolean][] {
  if (among !== undefined) {
    const allowed = Object.keys(among).map(Number);
    const all = [-1, 0, ...allowed.flatMap((value) => [value, value + 1, value + 0.5])];
    return all.map((value) => [value, allowed.includes(value)]);
  }
  if (bounds === undefined) return [];
  const { integer, least, most, above, below } = bounds;
  const around = (value: number) => (integer ? [value - 1, value + 1] : neighbours(value));
  const found: [number, boolean][] = [
    [around(least)[0] as number, false],
    [least, !above],
    [around(least)[1] as number, true],
  ];
  if (integer) found.push([least + 0.5, false]);
  if (most === undefined) return [...found, [Number.MAX_VALUE, true]];
  found.push([around(most)[0] as number, true], [most, !below]);
  return [...found, [around(most)[1] as number, false]];
}

/** The values to try for a row. */
function values(parameter: Parameter): [unknown, boolean][] {
  const { kind, entries, mostEntries } = parameter;
  const each = numbers(parameter);
  if (kind !== "numbers") return each;
  if (entries !== undefined) {
    const [, , [good]] = each as [unknown, unknown, [number, boolean]];
    return each.flatMap(([value, ok]): [unknown, boolean][] => [
      [[value, good], ok],
      [[good, value], ok],
    ]);
  }
  const lists = each.map(([value, ok]): [unknown, boolean] => [[1, value], ok]);
  lists.push([[], false]);
  if (mostEntries !== undefined) {
    lists.push([Array(mostEntries).fill(1), true], [Array(mostEntries + 1).fill(1), false]);
  }
  return lists;
}

/** What the addon says when all settings are good. */
const NO_IMAGES = "There are no images in the training set.";

describe("the bounds of TypeScript and of C++", () => {
  it("are tried on a training that is refused for its images alone", () => {
    expect(train({})).toBe(NO_IMAGES);
  });

  const numeric = PARAMETERS.filter(({ bounds, among }) => bounds ?? among);

  it.each(numeric.map((parameter) => [parameter.name, parameter] as const))(
    "agree on %s",
    (name, parameter) => {
      expect(values(parameter).length).toBeGreaterThan(3);
      for (const [value, allowed] of values(parameter)) {
        const shown = `${name} ${JSON.stringify(value)}`;
        const expected = `Expected ${expectedText(parameter)} for ${name} but received`;
        const mine = inTypeScript(name, value);
        if (allowed) expect(mine, shown).toBe("");
        else expect(mine, shown).toContain(expected);
        // How much is drawn on a terminal, and which images validate, is none of C++'s business.
        if (parameter.group === "output" || name === "valid_split") continue;
        const theirs = inCpp(parameter, value);
        if (allowed) expect(theirs, shown).toBe(NO_IMAGES);
        else expect(theirs, shown).toMatch(/expected an integer|Expected /);
      }
    },
  );

  it.each(
    PARAMETERS.filter(({ kind, part }) => kind.startsWith("name") && part).map(
      (p) => [p.name, p] as const,
    ),
  )("agree on the names of %s", (name, parameter) => {
    const { kind, choices = [] } = parameter;
    for (const choice of [...choices, "stranger"]) {
      const value = kind === "names" ? [choice] : choice;
      const shown = `${name} ${choice}`;
      const allowed = choice !== "stranger";
      expect(inTypeScript(name, value) === "", shown).toBe(allowed);
      const theirs = inCpp(parameter, value);
      // Some initializers do not fit every weight, which is another matter.
      if (allowed) expect(theirs, shown).toMatch(/^There are no images|cannot be/);
      else expect(theirs, shown).toMatch(/[Ee]xpected .*'stranger'/);
    }
  });

  it.each([
    [{ l1: 0, l2: 0 }, true],
    [{ l1: Number.MIN_VALUE, l2: 1e300 }, true],
    [{ l1: -Number.MIN_VALUE, l2: 0 }, false],
    [{ l1: 0, l2: -1 }, false],
  ])("agree on the penalty %j", (value, allowed) => {
    for (const parameter of PARAMETERS.filter(({ kind }) => kind === "regularizer")) {
      expect(inTypeScript(parameter.name, value) === "").toBe(allowed);
      expect(inCpp(parameter, value) === NO_IMAGES).toBe(allowed);
    }
  });

  it.each([
    [{ name: "unit_norm" }, true],
    [{ name: "max_norm", maxValue: Number.MIN_VALUE }, true],
    [{ name: "max_norm", maxValue: 0 }, false],
    [{ name: "min_max_norm", minValue: 0, maxValue: 1, rate: 0 }, true],
    [{ name: "min_max_norm", minValue: 1, maxValue: 1, rate: 1 }, true],
    [{ name: "min_max_norm", minValue: 1.5, maxValue: 1, rate: 1 }, false],
    [{ name: "min_max_norm", minValue: -1, maxValue: 1, rate: 1 }, false],
    [{ name: "min_max_norm", minValue: 0, maxValue: 1, rate: 1.5 }, false],
  ])("agree on the constraint %j", (value, allowed) => {
    for (const parameter of PARAMETERS.filter(({ kind }) => kind === "constraint")) {
      expect(inTypeScript(parameter.name, value) === "").toBe(allowed);
      expect(inCpp(parameter, value) === NO_IMAGES).toBe(allowed);
    }
  });
});
