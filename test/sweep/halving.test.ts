import { describe, expect, it } from "vitest";
import {
  expectedEpochs,
  nextJob,
  type RungJob,
  rungEpochs,
  usualMinEpochs,
} from "../../ts/sweep/halving.ts";
import { chosenSeed, seededRandom } from "../support/random.ts";

describe("rungs", () => {
  it.each([
    [27, 1, 3, [1, 3, 9, 27]],
    [30, 3, 3, [3, 10, 30]],
    [100, 4, 3, [4, 11, 33, 100]],
    [16, 1, 2, [1, 2, 4, 8, 16]],
    [5, 2, 3, [2, 5]],
    [2, 1, 3, [1, 2]],
    [1, 1, 3, [1]],
    [9, 9, 3, [9]],
  ])("of %i epochs from %i by %i are %j", (most, minEpochs, eta, rungs) => {
    expect(rungEpochs(most, { minEpochs, eta })).toEqual(rungs);
  });

  it("grow, begin with enough, and end with all, whatever is asked", () => {
    for (let most = 1; most <= 120; most++) {
      for (const eta of [2, 3, 4]) {
        const usual = usualMinEpochs(most, eta);
        const rungs = rungEpochs(most, { minEpochs: usual, eta });
        expect(rungs.at(-1)).toBe(most);
        expect(rungs[0]).toBeGreaterThanOrEqual(usual);
        expect(rungs).toEqual([...new Set(rungs)].sort((a, b) => a - b));
        expect(rungs.length).toBeLessThanOrEqual(4);
      }
    }
  });

  it("of 27 trials take a ninth of what all of them would", () => {
    expect(expectedEpochs(27, [1, 3, 9, 27], 3)).toBe(27 + 9 * 2 + 3 * 6 + 18);
    expect(expectedEpochs(2, [1, 3], 3)).toBe(2 + 2);
  });
});

/** A trial of the simulation. */
interface Simulated {
  scores: (number | null)[];
  isRunning: boolean;
  isFailed: boolean;
}

/** Algorithm 2 of the paper, word for word, with sets in place of what trials know of themselves. */
class Paper {
  readonly results: Map<number, number>[];
  readonly promoted: Set<number>[];

  constructor(
    rungs: number,
    readonly eta: number,
    readonly fresh: number[],
  ) {
    this.results = Array.from({ length: rungs }, () => new Map());
    this.promoted = Array.from({ length: rungs }, () => new Set());
  }

  next(failed: ReadonlySet<number>): RungJob | null {
    for (let k = this.results.length - 2; k >= 0; k--) {
      const all = [...(this.results[k] as Map<number, number>)].filter(([t]) => !failed.has(t));
      const top = all
        .toSorted(([a, x], [b, y]) => (x === y ? a - b : x < y ? -1 : 1))
        .slice(0, Math.floor(all.length / this.eta));
      const best = top.find(([trial]) => !this.promoted[k]?.has(trial));
      if (best !== undefined) return { trial: best[0], rung: k + 1 };
    }
    const trial = this.fresh[0];
    return trial === undefined ? null : { trial, rung: 0 };
  }

  begin({ trial, rung }: RungJob): void {
    if (rung === 0) this.fresh.shift();
    else this.promoted[rung - 1]?.add(trial);
  }
}

interface Simulation {
  trials: number;
  rungs: number;
  eta: number;
  jobs: number;
  failures: number;
}

function simulate({ trials: count, rungs, eta, jobs, failures }: Simulation, random: () => number) {
  const trials = Array.from(
    { length: count },
    (): Simulated => ({ scores: [], isRunning: false, isFailed: false }),
  );
  const paper = new Paper(rungs, eta, [...trials.keys()]);
  const failed = new Set<number>();
  const running: RungJob[] = [];
  const done: RungJob[] = [];
  for (;;) {
    while (running.length < jobs) {
      const job = nextJob(trials, rungs, eta);
      const expected = paper.next(failed);
      // Where the paper would draw a new configuration there is none left.
      if (expected !== null) expect(job).toEqual(expected);
      else if (running.length > 0) expect(job).toBeNull();
      if (job === null) break;
      const trial = trials[job.trial] as Simulated;
      expect(trial.isRunning || trial.isFailed).toBe(false);
      expect(trial.scores.length).toBe(job.rung);
      trial.isRunning = true;
      paper.begin(job);
      running.push(job);
    }
    if (running.length === 0) break;
    const [job] = running.splice(Math.floor(random() * running.length), 1) as [RungJob];
    const trial = trials[job.trial] as Simulated;
    trial.isRunning = false;
    if (random() < failures) {
      trial.isFailed = true;
      failed.add(job.trial);
      continue;
    }
    // Some alike, and some without a number.
    const score = random() < 0.1 ? null : Math.floor(random() * 20);
    trial.scores.push(score);
    paper.results[job.rung]?.set(job.trial, score ?? Number.POSITIVE_INFINITY);
    done.push(job);
  }
  return { trials, done };
}

describe("asynchronous successive halving", () => {
  it("decides as the paper's algorithm does, and trains one to the end", () => {
    const random = seededRandom(chosenSeed("halving"));
    for (let round = 0; round < 300; round++) {
      const simulation = {
        trials: 1 + Math.floor(random() * 40),
        rungs: 1 + Math.floor(random() * 4),
        eta: 2 + Math.floor(random() * 3),
        jobs: 1 + Math.floor(random() * 5),
        failures: random() < 0.5 ? 0 : 0.2,
      };
      const { trials, done } = simulate(simulation, random);
      // Each trial once a rung, and all of them in the first.
      expect(new Set(done.map(({ trial, rung }) => `${trial} ${rung}`)).size).toBe(done.length);
      for (const { scores, isFailed } of trials) expect(scores.length > 0 || isFailed).toBe(true);
      const left = trials.filter(({ isFailed }) => !isFailed);
      if (left.length > 0) {
        expect(Math.max(...left.map(({ scores }) => scores.length))).toBe(simulation.rungs);
      }
    }
  });

  it("is the plain kind where trials come one by one, the best first", () => {
    const trials = Array.from(
      { length: 9 },
      (): Simulated => ({ scores: [], isRunning: false, isFailed: false }),
    );
    const order: string[] = [];
    for (let job = nextJob(trials, 3, 3); job !== null; job = nextJob(trials, 3, 3)) {
      trials[job.trial]?.scores.push(job.trial);
      order.push(`${job.trial}@${job.rung}`);
    }
    expect(order.join(" ")).toBe("0@0 1@0 2@0 0@1 3@0 4@0 5@0 1@1 6@0 7@0 8@0 2@1 0@2");
  });
});
