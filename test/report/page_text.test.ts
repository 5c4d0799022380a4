import { describe, expect, it } from "vitest";
import { duration, figure } from "../../ts/report/format.ts";
import { renderPage } from "../../ts/report/page.ts";
import type { Sample } from "../../ts/report/sample.ts";
import type { RunFiles } from "../../ts/runs/record.ts";
import { epochs, runWith, SCORES, sampleOf, settingsWith } from "../support/report.ts";

/** The page in one line, without script and style. */
function pageOf(runs: Partial<RunFiles>[], sample: Sample | null = null): string {
  const reports = runs.map((changed) => ({ files: runWith(changed), sample }));
  return renderPage(reports, { script: "", style: "" }).replace(/\s+/g, " ");
}

describe("the verdict on the page", () => {
  it("is green only where all rules could be judged", () => {
    const whole = pageOf([{}], sampleOf([0, 1, 2, 3, 4, 5], 1));
    expect(whole).toContain(
      'class="finding good"><p><strong>Nothing looks wrong</strong> by the 7',
    );
    const partly = pageOf([{}]);
    expect(partly).toContain(
      "<strong>Nothing looks wrong</strong> by the 4 of the rules below that could be judged; 3 could not.",
    );
    expect(partly).not.toContain("finding good");
    const nothing = { state: "imported", epochs: [], train: null, valid: null, validImages: NaN };
    expect(pageOf([nothing])).toContain("<strong>Nothing could be judged</strong>");
  });

  it("says of a failed run that it failed, and why", () => {
    const page = pageOf([{ state: "failed", error: "The loss is not finite.", train: null }]);
    expect(page).toContain("<strong>The run failed.</strong> The loss is not finite.");
    expect(page).toContain('<p class="lead">Failed after 10 epochs in 10 s.</p>');
    expect(page).not.toContain("Nothing looks wrong");
  });

  it("says as much of several runs", () => {
    const page = pageOf([
      { state: "failed", error: "Broken." },
      {},
      { valid: { ...SCORES, loss: Number.NaN }, validImages: Number.NaN, train: null, epochs: [] },
    ]);
    const cells = [...page.matchAll(/<td>([^<]*)<\/td><\/tr>/g)].map(([, text]) => text);
    expect(cells.slice(0, 3)).toEqual(["it failed", "nothing by 4 of 7 rules", "not judged"]);
    // A loss that is not a number hides no other.
    expect(page.match(/\(least\)/g)).toHaveLength(2);
    expect(page).toContain('aria-label="Verdict on run"');
  });
});

describe("the page", () => {
  it("does not say that a learning rate stayed that on_nan may have halved", () => {
    const unknown = epochs(10).map((epoch) => ({ ...epoch, learningRate: Number.NaN }));
    const skip = { settings: settingsWith({ on_nan: "skip" }), epochs: unknown };
    expect(pageOf([skip])).toContain(
      "The learning rate of adadelta began at 0.001, and was halved wherever the loss was not finite.",
    );
    expect(pageOf([skip])).not.toContain("in all epochs");
    expect(pageOf([skip])).not.toContain('data-chart="rate"');
    expect(pageOf([{}])).toContain("The learning rate of adadelta was 0.001 in all epochs.");
    const halved = epochs(10).map((e) => ({ ...e, learningRate: e.epoch < 5 ? 0.001 : 0.0005 }));
    const page = pageOf([{ epochs: halved }]);
    expect(page).toContain("was 0.001 at first, and 0.0005 at the end.");
    expect(page).toContain('aria-label="Learning rate from 0.001000 to 0.0005000."');
  });

  it("draws no correlations of one dimension, and names none where there are none", () => {
    const one = pageOf([{}], sampleOf([0, 1, 2, 3, 4], 1));
    expect(one).toContain("<p>1 number an image");
    expect(one).not.toContain("Correlations");
    const none = pageOf([{}], sampleOf([0, 1, 0, 2, 0, 3], 2));
    expect(none).toContain("None are correlated.");
    expect(none).not.toContain("The strongest");
  });

  it("tells runs apart whose folders have one name", () => {
    const page = pageOf([{ folder: "/logs/a/run" }, { folder: "/logs/b/run" }]);
    const titles = [...page.matchAll(/<h2 id="r\d-title">(.*?)<\/h2>/g)].map(([, text]) => text);
    expect(titles).toEqual(["a/run", "b/run"]);
  });

  it("shows of an imported model what it was made from, and no scores", () => {
    const imported: [string, string][] = [["file", "/models/net.keras"]];
    const page = pageOf([{ state: "imported", imported, epochs: [], train: null, valid: null }]);
    expect(page).toContain("<dt>file</dt><dd>/models/net.keras</dd>");
    expect(page).not.toContain("Best epoch");
  });

  it("shows no unit where there is no score", () => {
    expect(pageOf([{ valid: null }])).not.toContain("– dB");
  });

  it("does not grow with epochs and runs alike", () => {
    const one = pageOf([{ epochs: epochs(3000) }]).length;
    const many = pageOf(Array(20).fill({ epochs: epochs(3000) })).length;
    expect(many).toBeLessThan(10 * one);
    expect(pageOf([{}])).toContain('"loss":[0.123457,');
  });
});

describe("numbers on the page", () => {
  it("have no exponent where they need none", () => {
    expect([0.0123456, 99.9, 123.4, 12_345].map((value) => figure(value, 2))).toEqual([
      "0.012",
      "100",
      "123",
      "12345",
    ]);
    expect(figure(1.5e6)).toBe("1.500e+6");
  });

  it("are rounded before they are split into minutes and seconds", () => {
    expect([9.96, 59.4, 59.5, 3599.7, 3725].map(duration)).toEqual([
      "10 s",
      "59 s",
      "1 min 00 s",
      "1 h 00 min",
      "1 h 02 min",
    ]);
  });
});
