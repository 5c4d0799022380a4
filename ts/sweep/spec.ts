/** What a sweep is: made of what was asked for, kept in its folder as `sweep.yaml`. */
import { join, resolve } from "node:path";
import { stringify } from "yaml";
import { configError } from "../addon/errors.js";
import { nameKey, nearestName, showName } from "../config/names.js";
import { findParameter, type Parameter, type ParameterName } from "../config/parameters.js";
import { type GivenSettings, resolveSettings, type Settings } from "../config/resolve.js";
import { checkValue } from "../config/settings.js";
import { flagText, isMapping, readValue, showValue } from "../config/values.js";
import { readYamlFile } from "../config/yaml.js";
import { writeFileAtomic } from "../files/atomic.js";
import { shownPath } from "../files/paths.js";
import { mlflowServer } from "../tracking/mlflow_address.js";
import { VERSION } from "../version.js";
import { type Dimension, dimensionOf, dimensionText } from "./dimensions.js";
import { type Halving, rungEpochs, usualMinEpochs } from "./halving.js";
import { metricOf, type SweepMetric } from "./metric.js";
import { gridPoints, type Point, randomPoints, shuffled } from "./points.js";

/** The file in a sweep's folder that says what it is. */
export const SWEEP_FILE = "sweep.yaml";

/** Options of `flexae run` that each trial is given, too. */
export interface RunOptions {
  tensorboard: boolean;
  /** A server's address; null for none. */
  mlflow: string | null;
}

/** A sweep, as all that drive it know it. */
export interface SweepSpec {
  search: "grid" | "random";
  /** Of the search, and of the trainings unless it is swept. */
  seed: number;
  metric: SweepMetric;
  /** Null where each trial is trained to its end. */
  halving: Halving | null;
  dimensions: readonly Dimension[];
  /** What holds for all trials, as flags take it; what is not there has its default. */
  settings: Readonly<Partial<Record<ParameterName, string>>>;
  runOptions: RunOptions;
  /** Whether the best trials get their pages. */
  report: boolean;
  /** How many are trained at once unless asked otherwise; null where nobody has said so yet. */
  jobs: number | null;
  points: readonly Point[];
}

/** What is asked for besides settings; by the names of the sweep's file where it has the same. */
export interface SweepRequest {
  search?: string | undefined;
  trials?: number | undefined;
  halving?: boolean | undefined;
  minEpochs?: number | undefined;
  eta?: number | undefined;
  metric?: string | undefined;
  tensorboard?: boolean | undefined;
  mlflow?: boolean | string | undefined;
  report?: boolean | undefined;
  jobs?: number | undefined;
}

/** What sets a setting in a run's folder alone, or for people alone. */
const OWN: readonly ParameterName[] = ["save_dir", "overwrite", "preTrain_verbose"];

/** Keys of a sweep's file that are no settings. */
const KEYS = [
  "over",
  "search",
  "trials",
  "halving",
  "metric",
  "settings",
  "tensorboard",
  "mlflow",
  "report",
  "jobs",
] as const;
/** What a sweep has written there, and makes anew of the rest. */
const WRITTEN = ["flexible_autoencoder", "points"];

/** A file of a sweep, as it was written by hand or by an earlier sweep. */
interface SweepFile {
  over: GivenSettings;
  request: SweepRequest;
  settings: GivenSettings;
}

function typed<T>(
  value: unknown,
  is: (value: unknown) => value is T,
  expected: string,
): T | undefined {
  if (value === undefined || value === null) return undefined;
  if (is(value)) return value;
  throw configError(`Expected ${expected} but received ${showValue(value)}`);
}

const isText = (value: unknown): value is string => typeof value === "string";
const isNumber = (value: unknown): value is number => typeof value === "number";
const isBoolean = (value: unknown): value is boolean => typeof value === "boolean";
const isTextOrBoolean = (value: unknown): value is string | boolean =>
  isText(value) || isBoolean(value);

/** What is said of halving, in any spelling of its names. */
function halvingKeys(given: Record<string, unknown>, spell: (name: string) => string) {
  const known = ["min_epochs", "eta"] as const;
  const found: Partial<Record<(typeof known)[number], unknown>> = {};
  for (const [key, value] of Object.entries(given)) {
    const name = known.find((name) => nameKey(name) === nameKey(key));
    if (name === undefined) {
      throw configError(
        `Unknown key ${spell(`halving.${showName(key)}`)}: known are ${known.join(", ")}`,
      );
    }
    found[name] = value;
  }
  return found;
}

/**
 * Reads a file that describes a sweep: `over`, and what else is asked for; settings stand under
 * `settings` or beside it. A `sweep.yaml` is one as well.
 *
 * @throws FlexaeError `FLEXAE_CONFIG`.
 */
export function readSweepFile(path: string): SweepFile {
  const shown = shownPath(path);
  const spell = (name: string) => `${name} in ${shown}`;
  const content = readYamlFile(path, "The sweep's file");
  if (!isMapping(content)) {
    throw configError(`Expected a mapping with over: in ${shown}, such as over: {dims: [16, 32]}`);
  }
  const found: Partial<Record<(typeof KEYS)[number], unknown>> = {};
  const settings: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(content)) {
    const known = KEYS.find((name) => nameKey(name) === nameKey(key));
    if (known !== undefined) found[known] = value;
    else if (WRITTEN.includes(key)) continue;
    else if (findParameter(key) !== undefined) settings[key] = value;
    else {
      const nearest = nearestName(key, KEYS);
      const hint =
        nearest === undefined ? `known are ${KEYS.join(", ")}` : `did you mean ${nearest}?`;
      throw configError(`Unknown key ${spell(showName(key))}: ${hint}`);
    }
  }
  const mapping = (name: "over" | "settings") =>
    typed(found[name] ?? {}, isMapping, `names and values for ${spell(name)}`) ?? {};
  const { halving } = found;
  const rungs = isMapping(halving) ? halvingKeys(halving, spell) : {};
  const number = (value: unknown, name: string) =>
    typed(value, isNumber, `a number for ${spell(name)}`);
  return {
    over: { values: mapping("over"), spell },
    settings: { values: { ...settings, ...mapping("settings") }, spell },
    request: {
      search: typed(found.search, isText, `grid or random for ${spell("search")}`),
      trials: number(found.trials, "trials"),
      halving: isMapping(halving)
        ? true
        : typed(halving, isBoolean, `true, false or min_epochs and eta for ${spell("halving")}`),
      minEpochs: number(rungs.min_epochs, "min_epochs"),
      eta: number(rungs.eta, "eta"),
      metric: typed(found.metric, isText, `a column of metrics.csv for ${spell("metric")}`),
      tensorboard: typed(found.tensorboard, isBoolean, `true or false for ${spell("tensorboard")}`),
      mlflow: typed(found.mlflow, isTextOrBoolean, `an address or true for ${spell("mlflow")}`),
      jobs: number(found.jobs, "jobs"),
      report: typed(found.report, isBoolean, `true or false for ${spell("report")}`),
    },
  };
}

function countOf(value: number | undefined, name: string, least: number): number | undefined {
  if (value === undefined || (Number.isInteger(value) && value >= least)) return value;
  throw configError(`Expected an integer of at least ${least} for ${name} but received ${value}`);
}

/** Settings that somebody gave, as flags take them. The later wins. */
function givenTexts(all: readonly GivenSettings[]): Record<string, string> {
  const texts: Record<string, string> = {};
  for (const { values } of all) {
    for (const [key, raw] of Object.entries(values)) {
      if (raw === undefined) continue;
      const parameter = findParameter(key) as Parameter & { name: ParameterName };
      if (OWN.includes(parameter.name)) continue;
      const value = checkValue(parameter.name, readValue(parameter, raw))?.value;
      // From wherever the sweep goes on.
      const isFolder = parameter.kind === "path" && typeof value === "string";
      texts[parameter.name] = isFolder ? resolve(value) : flagText(parameter, value);
    }
  }
  return texts;
}

function dimensionsOf(all: readonly GivenSettings[]): Dimension[] {
  const dimensions = new Map<string, Dimension>();
  for (const { values, spell } of all) {
    const own = new Set<string>();
    for (const [name, given] of Object.entries(values)) {
      if (given === undefined) continue;
      const dimension = dimensionOf(name, given, spell(name));
      if (own.has(dimension.name)) {
        throw configError(`${dimension.name} is swept twice: name all its values at once`);
      }
      own.add(dimension.name);
      dimensions.set(dimension.name, dimension);
    }
  }
  return [...dimensions.values()];
}

/** Of several requests, the later wins. */
function merged(requests: readonly SweepRequest[]): SweepRequest {
  const given = requests.map((request) =>
    Object.fromEntries(Object.entries(request).filter(([, value]) => value !== undefined)),
  );
  return Object.assign({}, ...given) as SweepRequest;
}

function halvingOf(request: SweepRequest, settings: Settings): Halving | null {
  const eta = countOf(request.eta, "eta", 2);
  const minEpochs = countOf(request.minEpochs, "min-epochs", 1);
  if (request.halving !== true) {
    const given = eta !== undefined ? "eta" : minEpochs !== undefined ? "min-epochs" : undefined;
    if (given === undefined) return null;
    throw configError(
      `--${given} means nothing without --halving: add it, or leave --${given} out`,
    );
  }
  const { train_epochs, checkpoint_epochs } = settings;
  if (checkpoint_epochs === 0) {
    throw configError(
      "checkpoint_epochs 0 leaves no checkpoint to go on from, which --halving needs: leave it out",
    );
  }
  const halving = {
    minEpochs: minEpochs ?? usualMinEpochs(train_epochs, eta ?? 3),
    eta: eta ?? 3,
  };
  if (rungEpochs(train_epochs, halving).length === 1) {
    throw configError(
      `Nothing can be halved from ${halving.minEpochs} to ${train_epochs} epochs by eta ${halving.eta}: ask for more with --train-epochs, or fewer with --min-epochs`,
    );
  }
  return halving;
}

/** The address of a server, of which any trial would otherwise be the first to complain. */
function mlflowOf(given: SweepRequest["mlflow"]): string | null {
  if (given === undefined || given === false) return null;
  const { MLFLOW_TRACKING_URI } = process.env;
  const { address, authorization } = mlflowServer(given === true ? "" : given, undefined, {
    MLFLOW_TRACKING_URI,
  });
  // sweep.yaml keeps the address, and lists of processes show it.
  if (authorization === null) return address;
  throw configError(
    "The address of an MLflow server is kept in sweep.yaml: leave user and password out, and set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
  );
}

function pointsOf(spec: Omit<SweepSpec, "points">, trials: number | undefined): Point[] {
  const { search, dimensions, seed, halving } = spec;
  if (search === "random") {
    if (trials === undefined) {
      throw configError("Expected how many trials a random search has: --trials 50");
    }
    return randomPoints(dimensions, trials, seed);
  }
  if (trials !== undefined) {
    throw configError("--trials means nothing to a grid: leave it out, or add --search random");
  }
  const points = gridPoints(dimensions);
  // The first trials of a rung are judged among few: these are not to be neighbours in the grid.
  return halving === null ? points : shuffled(points, seed);
}

/**
 * A sweep from what was asked for.
 *
 * @param file - A file that describes one, over which all else wins.
 * @param over - The settings that are swept.
 * @param given - Settings for all trials; those of the last are given for this sweep alone.
 * @throws FlexaeError `FLEXAE_CONFIG`.
 */
export function makeSpec(
  file: string | undefined,
  over: GivenSettings,
  given: readonly GivenSettings[],
  asked: SweepRequest,
): { spec: SweepSpec; saveDir: string | null; warnings: string[] } {
  const read = file === undefined ? undefined : readSweepFile(file);
  const all = read === undefined ? given : [read.settings, ...given];
  const resolved = resolveSettings(all);
  if (resolved.overwrite) {
    throw configError("--overwrite means nothing to flexae sweep: leave it out");
  }
  const dimensions = dimensionsOf(read === undefined ? [over] : [read.over, over]);
  if (dimensions.length === 0) {
    throw configError(
      "Expected a setting to sweep, such as --over dims=16,32,64, or a file with over:",
    );
  }
  const own = given.at(-1);
  for (const { name } of dimensions) {
    const key = Object.keys(own?.values ?? {}).find(
      (key) => findParameter(key)?.name === name && own?.values[key] !== undefined,
    );
    if (key === undefined) continue;
    throw configError(`${own?.spell(key)} cannot be given where ${name} is swept: leave one out`);
  }
  const request = merged(read === undefined ? [asked] : [read.request, asked]);
  const { search = "grid" } = request;
  if (search !== "grid" && search !== "random") {
    throw configError(`Expected grid or random for search but received ${showName(search)}`);
  }
  const isSwept = (name: ParameterName) => dimensions.some((dimension) => dimension.name === name);
  if (request.halving === true && isSwept("train_epochs")) {
    throw configError(
      "train_epochs cannot be swept with --halving, which chooses it: leave one out",
    );
  }
  const { train_dir, valid_dir } = resolved;
  // Where nobody says where the images are, they are below the folder that the sweep began in.
  const texts = givenTexts([{ values: { train_dir, valid_dir }, spell: (name) => name }, ...all]);
  for (const { name } of dimensions) delete texts[name];
  const spec: Omit<SweepSpec, "points"> = {
    search,
    seed: resolved.seed,
    metric: metricOf(request.metric ?? "val_loss"),
    halving: halvingOf(request, resolved),
    dimensions,
    settings: texts,
    runOptions: {
      tensorboard: request.tensorboard === true,
      mlflow: mlflowOf(request.mlflow),
    },
    report: request.report !== false,
    jobs: countOf(request.jobs, "jobs", 1) ?? null,
  };
  const trials = countOf(request.trials, "trials", 1);
  const points = pointsOf(spec, trials);
  const warnings: string[] = [];
  if (trials !== undefined && points.length < trials) {
    warnings.push(`there are only ${points.length} different points, and so as many trials`);
  }
  return { spec: { ...spec, points }, saveDir: resolved.save_dir, warnings };
}

/** Writes `sweep.yaml`. */
export async function writeSpec(folder: string, spec: SweepSpec): Promise<void> {
  const { search, seed, metric, halving, dimensions, settings, runOptions, report, jobs, points } =
    spec;
  const over = dimensions.map((dimension) => [dimension.name, dimensionText(dimension)] as const);
  const head = {
    flexible_autoencoder: VERSION,
    search,
    // The seed is among the settings, if it was given.
    ...(search === "random" ? { trials: points.length } : {}),
    halving: halving === null ? false : { min_epochs: halving.minEpochs, eta: halving.eta },
    metric,
    report,
    ...(jobs === null ? {} : { jobs }),
    ...(runOptions.tensorboard ? { tensorboard: true } : {}),
    ...(runOptions.mlflow === null ? {} : { mlflow: runOptions.mlflow }),
    over: Object.fromEntries(over),
    settings: {
      ...settings,
      ...(dimensions.some(({ name }) => name === "seed") ? {} : { seed: String(seed) }),
    },
  };
  // A line a trial.
  const lines = points.map((point) => `  - ${JSON.stringify(point)}\n`);
  const text = `${stringify(head, { lineWidth: 0 })}points:\n${lines.join("")}`;
  await writeFileAtomic(join(folder, SWEEP_FILE), text);
}

/**
 * Reads the `sweep.yaml` of a folder.
 *
 * @throws FlexaeError `FLEXAE_CONFIG` if it is not one.
 */
export function readSpec(folder: string): SweepSpec {
  const path = join(folder, SWEEP_FILE);
  const broken = () =>
    configError(`${shownPath(path)} is not what a sweep has written: begin a new one`);
  const content = readYamlFile(path, "The record of the sweep");
  if (!isMapping(content) || !Array.isArray(content.points) || content.points.length === 0) {
    throw broken();
  }
  const { over, request, settings } = readSweepFile(path);
  const resolved = resolveSettings([settings]);
  const dimensions = dimensionsOf([over]);
  const points = content.points.map((point: unknown): Point => {
    if (!isMapping(point)) throw broken();
    const entries = dimensions.map(({ name }) => {
      const value = point[name];
      if (typeof value !== "string") throw broken();
      return [name, value] as const;
    });
    return Object.fromEntries(entries);
  });
  return {
    search: request.search === "random" ? "random" : "grid",
    seed: resolved.seed,
    metric: metricOf(request.metric ?? "val_loss"),
    halving: halvingOf(request, resolved),
    dimensions,
    settings: givenTexts([settings]),
    runOptions: { tensorboard: request.tensorboard === true, mlflow: mlflowOf(request.mlflow) },
    report: request.report !== false,
    jobs: countOf(request.jobs, "jobs", 1) ?? null,
    points,
  };
}
