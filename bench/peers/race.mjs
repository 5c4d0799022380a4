// Lines of a comparison in turns: each a process that is warm, an order that changes every round.

import { duration, SetupError } from "../../scripts/setup/steps.mjs";
import { ENVIRONMENTS } from "./lines.mjs";
import { spread } from "./statistics.mjs";
import { Host, Worker } from "./worker.mjs";

/** Rounds in which a line's environment is chosen. */
const TUNING_ROUNDS = 3;

const note = (text) => process.stderr.write(`${text}\n`);

const startOf = (spec, job, environment, { python }) => ({
  ...spec.start(job, python),
  env: ENVIRONMENTS[environment],
});

/** Processes that hold the jobs of `hosted` lines: one a peer and environment, started when needed. */
export class Hosts {
  #hosts = new Map();
  #ended = [];

  constructor(python) {
    this.python = python;
  }

  get(spec, environment) {
    const key = `${spec.peer} ${environment}`;
    const found = this.#hosts.get(key);
    // A peer that fails on one network, as PyTorch may by corrupting its memory, is not to fail on
    // the next one for that.
    if (found !== undefined && !found.failed) return found;
    const host = new Host(startOf(spec, { serves: true }, environment, this));
    this.#hosts.set(key, host);
    this.#ended.push(found?.end());
    return host;
  }

  async end() {
    await Promise.all([...this.#ended, ...[...this.#hosts.values()].map((host) => host.end())]);
  }
}

/** A process that is warm, and how many steps fill its turn. */
class Line {
  samples = [];
  losses = [];

  constructor(spec, environment) {
    this.spec = spec;
    this.name = spec.name;
    this.environment = environment;
  }

  async start(job, context, blockSeconds) {
    const own = { ...job, ...this.spec.job };
    this.worker = this.spec.hosted
      ? context.host(this.spec, this.environment).open(own)
      : new Worker(startOf(this.spec, own, this.environment, context));
    this.facts = await this.worker.ready();
    // The first steps take longer than the others, and of short ones a turn has thousands.
    let [steps, seconds] = [2, 0];
    for (;;) {
      ({ seconds } = await this.worker.run(steps));
      if (seconds >= blockSeconds / 4) break;
      steps *= 2;
    }
    this.steps = Math.max(1, Math.round((blockSeconds * steps) / seconds));
  }

  /** One turn. Gives images a second, of the clock or of processor time. */
  async turn(batchSize) {
    const { seconds, cpuSeconds, loss } = await this.worker.run(this.steps);
    if (loss !== undefined) this.losses.push(loss);
    return (this.steps * batchSize) / (this.spec.clock === "cpu" ? cpuSeconds : seconds);
  }

  end() {
    return this.worker.end();
  }
}

/** The environment in which a line is faster, by turns. */
async function tune(spec, job, context) {
  const candidates = [];
  try {
    for (const environment of Object.keys(ENVIRONMENTS)) {
      const line = new Line(spec, environment);
      candidates.push(line);
      await line.start(job, context, context.blockSeconds / 2);
    }
    for (let round = 0; round < TUNING_ROUNDS; round++) {
      for (const line of candidates) line.samples.push(await line.turn(job.batchSize));
    }
  } finally {
    await Promise.all(candidates.map((line) => line.worker?.end()));
  }
  const best = candidates.reduce((a, b) =>
    spread(b.samples).median > spread(a.samples).median ? b : a,
  );
  return best.environment;
}

/** Every line in turn, several rounds; the order is another in each. */
export async function race(specs, job, context) {
  const lines = [];
  const lost = [];
  const environments = context.environments ?? new Map();
  /** A peer that failed is left out, and said; this program may not fail. */
  const lose = ({ spec }, error) => {
    if (!(error instanceof SetupError)) throw error;
    if (spec.peer === "ours") throw new SetupError(`${spec.name}: ${error.message}`);
    note(`  ${spec.name} cannot run: ${error.message}`);
    lost.push({ name: spec.name, error: error.message });
  };
  try {
    for (const spec of specs) {
      const started = performance.now();
      const precise = { ...job, precision: spec.precision };
      const line = new Line(spec, "plain");
      try {
        if (spec.tunable) {
          const group = `${spec.peer} ${spec.precision} ${spec.clock ?? ""}`;
          if (!environments.has(group)) {
            environments.set(group, await tune(spec, precise, context));
          }
          line.environment = environments.get(group);
        }
        await line.start(precise, context, context.blockSeconds);
      } catch (error) {
        await line.worker?.end();
        lose(line, error);
        continue;
      }
      lines.push(line);
      const { parameters } = line.facts;
      const expected = lines[0].facts.parameters;
      if (parameters !== expected) {
        throw new SetupError(`${spec.name} has ${parameters} parameters, not ${expected}`);
      }
      note(`  ${spec.name}: warm after ${duration(performance.now() - started)}`);
    }
    for (let round = 0; round < context.rounds; round++) {
      const order = lines.map((_, i) => lines[(i + round) % lines.length]);
      if (round % 2 === 1) order.reverse();
      for (const line of order) {
        try {
          line.samples.push(await line.turn(job.batchSize));
        } catch (error) {
          lose(line, error);
          lines.splice(lines.indexOf(line), 1);
        }
      }
      note(`  round ${round + 1} of ${context.rounds}`);
    }
  } finally {
    await Promise.all(lines.map((line) => line.end()));
  }
  return {
    lost,
    lines: lines.map(({ name, spec, samples, losses, steps, environment, facts }) => ({
      name,
      peer: spec.peer,
      precision: spec.precision ?? null,
      clock: spec.clock ?? "wall",
      samples,
      stepsPerTurn: steps,
      environment,
      version: facts.version ?? null,
      kernels: facts.kernels ?? null,
      lastLoss: losses.at(-1) ?? null,
    })),
  };
}
