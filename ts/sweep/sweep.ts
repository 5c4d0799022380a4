/** A sweep from what was asked for to its page. */
import { stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { configError, translateError } from "../addon/errors.js";
import { kebabCase } from "../config/names.js";
import type { GivenSettings } from "../config/resolve.js";
import { writeFileAtomic } from "../files/atomic.js";
import { shownPath, unicodePath } from "../files/paths.js";
import { readAssets } from "../pages/assets.js";
import { REPORT_FILE } from "../runs/folder.js";
import { bestTrial, Driver, SWEEP_TABLE, type SweepEvent } from "./driver.js";
import { checkSweepDir, createSweepFolder, openSweepFolder, type SweepFolder } from "./folder.js";
import { ascending, type SweepMetric } from "./metric.js";
import { renderSweepPage } from "./page.js";
import { planSweep, type SweepPlan } from "./plan.js";
import { repeatLine } from "./run_line.js";
import { machineResources, type Slot, shareOut } from "./slots.js";
import { makeSpec, readSpec, type SweepRequest, type SweepSpec } from "./spec.js";
import { startProcess } from "./trial_process.js";
import type { SweepTrial } from "./trials.js";

/** How a sweep searches, and what it may use. */
export interface SweepOptions {
  /** A file that describes a sweep, over which all else wins. */
  file?: string | undefined;
  /** All combinations of values (`grid`, unless given), or some drawn at random. */
  search?: "grid" | "random" | undefined;
  /** How many are drawn at random. */
  trials?: number | undefined;
  /** Asynchronous successive halving: trials that are not among the best so far are stopped. */
  halving?: boolean | undefined;
  /** Epochs before any is stopped; with `eta` 3 a 27th of all unless given. */
  minEpochs?: number | undefined;
  /** One of so many goes on, for so many times the epochs; 3 unless given. */
  eta?: number | undefined;
  /** The column of `metrics.csv` by which trials are compared; `val_loss` unless given. */
  metric?: SweepMetric | undefined;
  /** How many are trained at once; unless given, one a GPU, or as many as cores and memory allow. */
  jobs?: number | undefined;
  /** The folder of an earlier sweep, or `last` for the newest in `logs/`: goes on with it. */
  resume?: string | undefined;
  /** With `resume`: trials that failed are tried once more. */
  retry?: boolean | undefined;
  /** Whether the best five trials get a `report.html`; true unless said otherwise. */
  report?: boolean | undefined;
  /** Each trial writes what TensorBoard reads. */
  tensorboard?: boolean | undefined;
  /** The address of an MLflow server that each trial tells, or true for `MLFLOW_TRACKING_URI`. */
  mlflow?: boolean | string | undefined;
  /** Ends trials under way after their batch; the result is then `interrupted`. */
  signal?: AbortSignal | undefined;
  /** Called with what happens. */
  onEvent?: ((event: SweepEvent) => void) | undefined;
}

/** What came of a sweep. */
export interface Sweep {
  /** Absolute path of its folder. */
  folder: string;
  /** By which trials are compared. */
  metric: SweepMetric;
  /** All of them, in their order. */
  trials: SweepTrial[];
  /** The best of them; null if none has a score. */
  best: SweepTrial | null;
  /** The line for a shell that repeats the best; null if there is none. */
  repeat: string | null;
  /** Absolute path of the table. */
  table: string;
  /** Absolute path of the page; null if it could not be written. */
  page: string | null;
  /** Whether it was ended before its end. */
  interrupted: boolean;
}

/** The page in a sweep's folder. */
const SWEEP_PAGE = "sweep.html";
/** Trials that get a page of their own. */
const REPORTED = 5;

const MEANINGLESS = [
  "file",
  "search",
  "trials",
  "halving",
  "minEpochs",
  "eta",
  "metric",
  "report",
  "tensorboard",
  "mlflow",
] as const;

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false;
}

/** A sweep and its folder, which is held. */
interface Opened {
  folder: SweepFolder;
  spec: SweepSpec;
  plan: SweepPlan;
  slots: Slot[];
}

/** How the machine is shared out between the trials. */
function slotsFor(spec: SweepSpec, plan: SweepPlan, jobs: number | undefined): Slot[] {
  const valid = plan.trials.flatMap(({ settings }) => (settings === null ? [] : [settings]));
  // There is one, or nothing was planned.
  const any = valid[0] ?? { device: "auto", threads: 0 };
  return shareOut(
    machineResources(),
    any,
    plan.trainingBytes,
    valid.length,
    jobs ?? spec.jobs ?? undefined,
  );
}

async function openEarlier(
  name: string,
  over: GivenSettings,
  given: readonly GivenSettings[],
  options: SweepOptions,
): Promise<Opened> {
  const spelled = [over, ...given].flatMap(({ values, spell }) =>
    Object.keys(values)
      .filter((key) => values[key] !== undefined)
      .map(spell),
  );
  const more = MEANINGLESS.filter((key) => options[key] !== undefined).map((key) => {
    if (key === "file") return `The file ${shownPath(options.file ?? "")}`;
    return `--${options[key] === false ? "no-" : ""}${kebabCase(key)}`;
  });
  const [first] = [...spelled, ...more];
  if (first !== undefined) {
    throw configError(
      `${first} means nothing to a sweep that goes on: it stays what its sweep.yaml says`,
    );
  }
  const folder = await openSweepFolder(name);
  try {
    const spec = readSpec(folder.path);
    const plan = await planSweep(spec);
    return { folder, spec, plan, slots: slotsFor(spec, plan, options.jobs) };
  } catch (error) {
    folder.lock.release();
    throw error;
  }
}

async function openNew(
  over: GivenSettings,
  given: readonly GivenSettings[],
  options: SweepOptions,
): Promise<Opened> {
  if (options.retry === true) {
    throw configError("--retry means nothing without --resume: leave it out");
  }
  const { file, ...request } = options;
  const { spec: asked, saveDir, warnings } = makeSpec(file, over, given, request as SweepRequest);
  await checkSweepDir(saveDir);
  const plan = await planSweep(asked);
  const slots = slotsFor(asked, plan, undefined);
  // The threads of a training are part of what it computes, to the last bit: they stay what they are.
  const threads = String(slots[0]?.threads ?? 1);
  const spec: SweepSpec = {
    ...asked,
    settings: { workers: threads, ...asked.settings, threads },
    jobs: slots.length,
  };
  const folder = await createSweepFolder(saveDir, spec);
  return { folder, spec, plan: { ...plan, warnings: [...warnings, ...plan.warnings] }, slots };
}

/** Makes pages of the best trials. They are worth no sweep: what goes wrong is said. */
async function reportBest(
  trials: readonly SweepTrial[],
  spec: SweepSpec,
  options: SweepOptions,
): Promise<void> {
  const score = (trial: SweepTrial) =>
    (trial.comparedScore === null ? null : ascending(spec.metric, trial.score)) ??
    Number.POSITIVE_INFINITY;
  const best = trials
    .filter((trial) => Number.isFinite(score(trial)))
    .sort((a, b) => score(a) - score(b))
    .slice(0, REPORTED);
  for (const { folder, trial } of best) {
    if (options.signal?.aborted) return;
    if (await isFile(join(folder, REPORT_FILE))) continue;
    const process = startProcess(["report", folder, "--json"], null, () => {});
    const interrupt = () => process.interrupt();
    options.signal?.addEventListener("abort", interrupt);
    const { problem } = await process.ended;
    options.signal?.removeEventListener("abort", interrupt);
    if (problem !== null && !options.signal?.aborted) {
      const message = `the page of trial ${trial} could not be written: ${problem}`;
      options.onEvent?.({ type: "warning", message });
    }
  }
}

async function writePage(
  { folder, spec, plan }: Opened,
  trials: readonly SweepTrial[],
  best: SweepTrial | null,
): Promise<string> {
  const pages = new Set<number>();
  for (const { trial, folder } of trials) {
    if (await isFile(join(folder, REPORT_FILE))) pages.add(trial);
  }
  const rungs = plan.trials.find(({ rungs }) => rungs !== null)?.rungs ?? [];
  const name = unicodePath(basename(folder.path));
  const page = { name, spec, rungs, trials, best, pages };
  const path = join(folder.path, SWEEP_PAGE);
  await writeFileAtomic(path, renderSweepPage(page, await readAssets("sweep")));
  return path;
}

/** What `sweep` of `ts/index.ts` does. */
export async function runSweep(
  over: GivenSettings,
  given: readonly GivenSettings[],
  options: SweepOptions = {},
): Promise<Sweep> {
  const { resume, jobs, signal } = options;
  if (jobs !== undefined && (!Number.isInteger(jobs) || jobs < 1)) {
    throw configError(`Expected an integer of at least 1 for jobs but received ${jobs}`);
  }
  signal?.throwIfAborted();
  const opened =
    resume === undefined
      ? await openNew(over, given, options)
      : await openEarlier(resume, over, given, options);
  const { folder, spec, plan, slots } = opened;
  const onEvent = (event: SweepEvent) => options.onEvent?.(event);
  try {
    for (const message of plan.warnings) onEvent({ type: "warning", message });
    const driver = new Driver(folder.path, spec, plan, slots, {
      signal,
      retry: options.retry === true,
      onEvent,
    });
    await driver.run();
    const trials = driver.describe();
    const best = bestTrial(trials, spec);
    if (spec.report) await reportBest(trials, spec, options);
    const page = await writePage(opened, trials, best).catch((error) => {
      const message = `${SWEEP_PAGE} could not be written: ${translateError(error).message}`;
      onEvent({ type: "warning", message });
      return null;
    });
    return {
      folder: folder.path,
      metric: spec.metric,
      trials,
      best,
      repeat: best === null ? null : repeatLine(spec, best.settings),
      table: join(folder.path, SWEEP_TABLE),
      page,
      interrupted: signal?.aborted === true,
    };
  } finally {
    folder.lock.release();
  }
}
