/** `flexae sweep FILE`, `flexae sweep --over …`: trains with many settings, and says which did best. */
import { constants } from "node:os";
import { takenBy } from "../../config/parameters.js";
import { shownPath } from "../../files/paths.js";
import type { SweepEvent } from "../../sweep/driver.js";
import type { Sweep, SweepOptions } from "../../sweep/sweep.js";
import type { SweepTrial } from "../../sweep/trials.js";
import type { CommandDescription } from "../command.js";
import { duration, grouped } from "../format.js";
import { type Invocation, optionText } from "../invocation.js";
import { nameFromHere, print, printJson, warn } from "../output.js";
import { optionChoice, optionCount } from "../own_options.js";
import { givenSettings } from "../settings.js";
import { type StepLine, stepLine } from "../step_line.js";

/** What is not told at the end is in the table. */
const SHOWN = 5;

const scoreText = (score: number | null) =>
  score === null ? "–" : String(Number(score.toPrecision(6)));

function settingsText({ settings }: SweepTrial): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name} ${value}`)
    .join("  ");
}

function trialJson(event: Extract<SweepEvent, { type: "trial" }>): Record<string, unknown> {
  const { trial, best, share, left } = event;
  return { event: "trial", ...trial, best, share, left };
}

/** Tells a person what happens. */
class TextReporter {
  #metric = "";
  #line: StepLine | undefined;

  constructor(line: StepLine | undefined) {
    this.#line = line;
  }

  event(event: SweepEvent): void {
    if (event.type === "progress") {
      this.#line?.update("sweep", event.share);
      return;
    }
    this.#line?.clear();
    if (event.type === "warning") warn(event.message);
    else if (event.type === "start") this.#start(event);
    else this.#trial(event);
  }

  #start(event: Extract<SweepEvent, { type: "start" }>): void {
    const { trials, invalid, jobs, threads, rungs, folder, metric } = event;
    this.#metric = metric;
    const each = threads === 1 ? "1 thread" : `${threads} threads`;
    const left = invalid === 0 ? "" : `, ${grouped(invalid)} of which cannot be trained`;
    print(`${plural(trials, "trial")}${left}; ${jobs} at once, with ${each} each`);
    if (rungs.length > 0) print(`Compared after ${rungs.join(", ")} epochs`);
    print(`In ${nameFromHere(folder)}`);
    print();
  }

  #trial({ trial, best, share, left }: Extract<SweepEvent, { type: "trial" }>): void {
    const name = `trial ${String(trial.trial).padStart(4)}`;
    const settings = shownPath(settingsText(trial));
    if (trial.problem !== null) {
      warn(`${name}  ${trial.state}: ${shownPath(trial.problem)}  (${settings})`);
      return;
    }
    const percent = `${Math.floor(100 * share)}%`.padStart(4);
    const epochs = `${trial.epochs} epoch${trial.epochs === 1 ? "" : "s"}`;
    const rest = left === null ? "" : `  ${duration(left)} left`;
    const interrupted = trial.state === "interrupted" ? "  interrupted" : "";
    print(
      `${percent}  ${name}  ${epochs}  ${this.#metric} ${scoreText(trial.score)}  ${settings}  ${duration(trial.seconds)}${best ? "  best" : ""}${interrupted}${rest}`,
    );
  }
}

function plural(n: number, one: string): string {
  return `${grouped(n)} ${one}${n === 1 ? "" : "s"}`;
}

function showEnd(ended: Sweep): void {
  const { trials, best, repeat, folder, page } = ended;
  const here = nameFromHere(folder);
  const failed = trials.filter(({ state }) => state === "failed").length;
  print();
  if (failed > 0) print(`${plural(failed, "trial")} failed; sweep.csv says why`);
  if (best !== null) {
    print(`Best: ${ended.metric} ${scoreText(best.score)} after ${plural(best.epochs, "epoch")}`);
    for (const [name, value] of Object.entries(best.settings)) print(`  ${name} ${value}`);
    print(`  in ${nameFromHere(best.folder)}`);
    print(`Again: ${repeat}`);
  }
  print(`${here}/sweep.csv has all trials${page === null ? "" : ", and sweep.html what mattered"}`);
  if (ended.interrupted) print(`Next: flexae sweep --resume ${here}`);
}

/** Of trials of which none came to a result: why, and the exit code of the first. */
function hasFailed({ trials, best, interrupted }: Sweep): boolean {
  return !interrupted && best === null && trials.length > 0;
}

/** `--over NAME=VALUES`, each name once. */
async function overOf(invocation: Invocation) {
  const { configError } = await import("../../addon/errors.js");
  const { parseOver } = await import("../../sweep/dimensions.js");
  const texts = invocation.options.over;
  const values: Record<string, string> = {};
  for (const text of Array.isArray(texts) ? texts : []) {
    const { name } = parseOver(text);
    if (name in values) throw configError(`${name} is swept twice: name all its values at once`);
    values[name] = text.slice(text.indexOf("=") + 1);
  }
  return { values, spell: (name: string) => `--over ${name}` };
}

/** Ends the trials at the first signal, the process and with it all of them at the second. */
function watchSignals(abort: AbortController, quiet: boolean): () => void {
  const onSignal = (signal: NodeJS.Signals) => {
    if (abort.signal.aborted) process.exit(128 + constants.signals[signal]);
    if (!quiet) warn("ending trials after their batch; once more stops at once");
    abort.abort(signal);
  };
  const signals = ["SIGINT", "SIGTERM"] as const;
  for (const signal of signals) process.on(signal, onSignal);
  return () => {
    for (const signal of signals) process.off(signal, onSignal);
  };
}

async function search(invocation: Invocation): Promise<number> {
  const { metricOf } = await import("../../sweep/metric.js");
  const { runSweep } = await import("../../sweep/sweep.js");
  const { options, argument, json } = invocation;
  const text = (name: string) => optionText(invocation, name);
  const flag = (name: string) => (options[name] === true ? true : undefined);
  const metric = text("metric");
  const abort = new AbortController();
  const line = stepLine(json);
  const reporter = new TextReporter(line);
  const asked: SweepOptions = {
    file: argument === "" ? undefined : argument,
    search: optionChoice(invocation, "search", ["grid", "random"]),
    trials: optionCount(invocation, "trials"),
    halving: flag("halving"),
    minEpochs: optionCount(invocation, "minEpochs"),
    eta: optionCount(invocation, "eta", 2),
    metric: metric === undefined ? undefined : metricOf(metric),
    jobs: optionCount(invocation, "jobs"),
    resume: text("resume"),
    retry: flag("retry"),
    report: options.report === false ? false : undefined,
    tensorboard: flag("tensorboard"),
    mlflow: text("mlflow") ?? flag("mlflow"),
    signal: abort.signal,
    onEvent: (event) => {
      if (!json) reporter.event(event);
      else if (event.type === "trial") printJson(trialJson(event));
      else if (event.type === "start") {
        const { type, ...rest } = event;
        printJson({ event: type, ...rest });
      } else if (event.type === "warning") warn(event.message);
    },
  };
  const over = await overOf(invocation);
  const given = await givenSettings(invocation);
  const release = watchSignals(abort, json);
  let ended: Sweep;
  try {
    ended = await runSweep(over, given, asked);
  } catch (error) {
    const { reason } = abort.signal;
    // It had not begun.
    if (abort.signal.aborted && error === reason)
      return 128 + constants.signals[reason as "SIGINT"];
    throw error;
  } finally {
    release();
    line?.clear();
  }
  if (json) {
    const { trials, ...rest } = ended;
    printJson({ event: "end", ...rest, trials: trials.length });
  } else showEnd(ended);
  if (ended.interrupted) return 128 + constants.signals[abort.signal.reason as "SIGINT"];
  if (!hasFailed(ended)) return 0;
  const problems = [...new Set(ended.trials.map(({ problem }) => problem))].slice(0, SHOWN);
  warn(
    `no trial has a result: ${problems.map((problem) => shownPath(problem ?? "no score")).join("; ")}`,
  );
  return 1;
}

/** What holds for one run's folder alone, or for people alone. */
const LEFT_OUT: readonly string[] = ["overwrite", "preTrain_verbose"];

export const sweep: CommandDescription = {
  name: "sweep",
  description: "train with many settings, and say which do best and what mattered",
  argument: ["[file]", "YAML that describes the sweep: over:, and what else is asked for"],
  options: [
    [
      "--over <setting=values...>",
      "a setting to sweep: dims=16,32,64, filters=32,64;16,32, learning_rate=log:1e-4..1e-1 (again for more)",
    ],
    ["--search <how>", "grid, all combinations, or random, some of them or of ranges (grid)"],
    ["--trials <n>", "how many are drawn at random"],
    ["--halving", "stop trials that are not among the best so far (ASHA), and train the others on"],
    ["--min-epochs <n>", "epochs before any is stopped (train-epochs/eta³)"],
    ["--eta <n>", "one of so many goes on, for so many times the epochs (3)"],
    ["--metric <name>", "the column of metrics.csv to compare by (val_loss)"],
    ["--jobs <n>", "how many are trained at once (one a GPU, or by cores and memory)"],
    ["--resume <sweep>", "go on with a sweep: its folder, or `last` for the newest in logs/"],
    ["--retry", "with --resume: try trials that failed once more"],
    ["--tensorboard", "each trial writes what TensorBoard reads, as `flexae run` does"],
    ["--mlflow [uri]", "each trial tells an MLflow server, as `flexae run` does"],
    ["--no-report", "no report.html of the best trials"],
  ],
  takesConfig: true,
  takes: takenBy("run").filter((name) => !LEFT_OUT.includes(name)),
  run: search,
};
