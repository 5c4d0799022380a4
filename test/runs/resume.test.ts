/** What a run that goes on may be given anew is what the rows of its parameters say. */
import { describe, expect, it } from "vitest";
import { PARAMETERS, type Parameter } from "../../ts/config/parameters.ts";
import { resolveSettings } from "../../ts/config/resolve.ts";
import { withChanges } from "../../ts/runs/resume.ts";

/** A value that is not the default. */
function another({ name, kind, among, bounds, choices, default: usual }: Parameter): unknown {
  if (choices !== undefined) {
    const choice = choices.find((one) => one !== usual);
    return kind === "names" ? [choice] : choice;
  }
  if (among !== undefined)
    return Object.keys(among)
      .map(Number)
      .find((one) => one !== usual);
  switch (kind) {
    case "boolean":
      return !usual;
    case "number":
    case "share":
      return bounds?.integer ? Number(usual ?? 0) + 1 : 0.25;
    case "numbers":
      return name === "imageShape" ? [64, 32] : [3];
    case "regularizer":
      return "l2(0.5)";
    case "constraint":
      return "max_norm(7)";
    default:
      return name === "device" ? "cpu" : "other";
  }
}

function resume(values: Record<string, unknown>): { warnings: string[] } {
  const warnings: string[] = [];
  const given = { values, spell: (name: string) => `--${name}` };
  const before = resolveSettings([]);
  const after = withChanges(before, [given], "logs/run", warnings);
  for (const name of Object.keys(values)) {
    expect(after[name as never], name).not.toEqual(before[name as never]);
  }
  return { warnings };
}

describe("a run that goes on", () => {
  it.each(PARAMETERS.map((parameter) => [parameter.resume, parameter.name, parameter] as const))(
    "by the rule %s takes %s",
    (rule, name, parameter) => {
      const values = { [name]: another(parameter) };
      if (rule === "none") {
        expect(() => resume(values)).toThrow(`--${name} means nothing to a run that goes on`);
        return;
      }
      if (rule === "fixed") {
        expect(() => resume(values)).toThrow(`logs/run cannot go on with another ${name} `);
        return;
      }
      const { warnings } = resume(values);
      if (rule === "unsaid") expect(warnings).toEqual([]);
      else {
        expect(warnings).toHaveLength(1);
        expect(warnings[0]).toContain(`changed on resuming: ${name} `);
        expect(/numbers are not those/.test(warnings[0] as string)).toBe(rule === "telling");
      }
    },
  );

  it("stays what it is: the network and what decides the numbers", () => {
    const fixed = PARAMETERS.filter(({ resume }) => resume === "fixed").map(({ name }) => name);
    for (const { name, part } of PARAMETERS) {
      if (part === "network") expect(fixed).toContain(name);
    }
    for (const name of ["batch_size", "optimizer", "seed", "interpolation", "vertical_flip"]) {
      expect(fixed).toContain(name);
    }
  });

  it("takes what it has already, and says nothing", () => {
    const warnings: string[] = [];
    const given = { values: { filters: [32, 64, 128, 256], "batch-size": "32" }, spell: String };
    withChanges(resolveSettings([]), [given], "logs/run", warnings);
    expect(warnings).toEqual([]);
  });
});
