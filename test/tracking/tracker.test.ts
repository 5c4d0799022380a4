/** What waits for a tracker that is slow. */
import { describe, expect, it } from "vitest";
import type { TrainingEvent } from "../../ts/runs/training_event.ts";
import { makeTracker } from "../../ts/tracking/track.ts";
import { QueuedTracker, type Recorder } from "../../ts/tracking/tracker.ts";

describe("a tracker", () => {
  it("that is slow gets every epoch, but not all that is large", async () => {
    let begin: (recorder: Recorder) => void = () => {};
    const loaded = new Promise<Recorder>((resolve) => {
      begin = resolve;
    });
    const tracker = new QueuedTracker(
      () => loaded,
      (error) => expect.fail(String(error)),
    );
    for (let i = 0; i < 100; i++) {
      for (const type of ["batch", "reconstructions", "epoch"]) {
        tracker.event({ type } as TrainingEvent);
      }
    }
    const seen: string[] = [];
    begin({ record: async ({ type }) => void seen.push(type), end: async () => {} });
    await tracker.finish({ error: null });
    const count = (type: string) => seen.filter((other) => other === type).length;
    expect(count("epoch")).toBe(100);
    expect(count("batch") + count("reconstructions")).toBeLessThan(20);
  });

  it("is asked for as one that there can be", () => {
    expect(() => makeTracker({ tensorboard: "" }, () => {})).toThrow("Expected a folder");
    expect(() => makeTracker({ mlflowExperiment: "a" }, () => {})).toThrow("without mlflow");
  });
});
