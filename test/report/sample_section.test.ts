import { describe, expect, it } from "vitest";
import type { Sample, SampleMap } from "../../ts/report/sample.ts";
import { drawExamples, drawMap } from "../../ts/report/sample_section.ts";
import { seededRandom } from "../support/random.ts";

describe("pairs with error maps", () => {
  /** Noise, which PNG cannot make smaller. */
  function noise(side: number): Sample {
    const next = seededRandom(1);
    const length = 3 * side * side;
    const examples = (["best", "typical", "worst"] as const).map((kind) => ({
      kind,
      name: "noise.png",
      loss: 0.5,
      image: Uint8Array.from({ length }, () => 256 * next()),
      output: Float32Array.from({ length }, next),
    }));
    return { examples, inputShape: [3, side, side] } as unknown as Sample;
  }

  it("get smaller until they fit", () => {
    const sample = noise(200);
    const whole = drawExamples(sample, 10_000_000).text.length;
    expect(whole).toBeGreaterThan(1_000_000);
    expect(drawExamples(sample, 300_000).text.length).toBeLessThan(302_000);
  });
});

describe("the map", () => {
  it("tells 40 classes apart, and puts the smallest together", () => {
    const names = Array.from({ length: 48 }, (_, i) => `class ${i}`);
    // Of each class two images, of the last eight one.
    const of = [...names.keys(), ...names.slice(0, 40).keys()];
    const map: SampleMap = {
      method: "UMAP",
      places: Float32Array.from({ length: 2 * of.length }, (_, i) => i),
      groups: { by: "class", names, of },
      names: of.map((group) => `${group}.png`),
    };
    const { text } = drawMap(map, "map");
    // A colour, and a shape by how its outline goes on.
    const drawn = text.matchAll(
      /<g class="(.*?)" data-group.*?<\/title><(circle|path d="M[-\d.]+ [-\d.]+[a-z][-\d.]+)/g,
    );
    const signs = [...drawn].map(
      ([, color, shape]) => `${color} ${shape?.replace(/M.* .*?(?=[a-z])/, "")}`,
    );
    expect(new Set(signs).size).toBe(41);
    expect(text).toContain('<bdi>others</bdi> <span class="dim">8</span>');
    expect(text.match(/<title>/g)).toHaveLength(88);
  });

  it("keeps names within its frame, and shortens long ones", () => {
    const long = "a name of twenty-two 😀";
    const map: SampleMap = {
      method: "UMAP",
      places: Float32Array.from([0, 0, 5, 5, 10, 10]),
      groups: { by: "class", names: [`${long}!`, "middle", "at the right edge"], of: [0, 1, 2] },
      names: ["0.png", "1.png", "2.png"],
    };
    const { text } = drawMap(map, "map");
    const labels = [...text.matchAll(/<text class="(.*?)" x="(.*?)".*?>(.*?)<\/text>/g)];
    expect(labels.map((label) => label.slice(1))).toEqual([
      ["start", "14.0", "a name of …ty-two 😀!"],
      ["middle", "200.0", "middle"],
      ["end", "386.0", "at the right edge"],
    ]);
    expect(text).toContain(`<bdi>${long}!</bdi>`);
  });
});
