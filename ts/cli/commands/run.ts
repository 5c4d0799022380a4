/** `flexae run`: trains, and says how it goes. */
import { constants } from "node:os";
import { relative } from "node:path";
import { configError } from "../../addon/errors.js";
import type { TrainEvent } from "../../addon/types.js";
import { shownPath } from "../../files/paths.js";
import type { ProcessGroup } from "../../processes/group.js";
import type { TrainingOutcome, TrainingResult } from "../../runs/training.js";
import type { TrainingEvent } from "../../runs/training_event.js";
import type { TrackingOptions } from "../../tracking/track.js";
import type { CommandDescription } from "../command.js";
import { duration, grouped, rate, scoreText, summaryLines } from "../format.js";
import { type Invocation, optionText } from "../invocation.js";
import { print, printJson, warn } from "../output.js";
import type { EpochBar } from "../progress.js";
import { givenSettings, invokedSettings } from "../settings.js";
import type { StepLine } from "../step_line.js";

type EpochEvent = Extract<TrainEvent, { type: "epoch" }>;
type StartEvent = Extract<TrainingEvent, { type: "start" }>;

/** Tells a person or a program what happens. */
interface Reporter {
  event(event: TrainingEvent): void;
  /** The page is about to be written, which takes a while. */
  reporting(): void;
  /** @param report - Path of the run's page; null without one. */
  end(result: TrainingResult, report: string | null): void;
  /** It can be watched there. */
  dashboard(url: string): void;
}

/** JSON Lines. What is not asked for there, such as warnings, goes to stderr. */
class JsonReporter implements Reporter {
  event(event: TrainingEvent): void {
    if (event.type === "start") {
      printJson({
        event: "start",
        runDir: event.runDir,
        device: event.device,
        deviceName: event.deviceName,
        precision: event.precision,
        threads: event.threads,
        epochs: event.epochs,
        trainImages: event.trainImages,
        validImages: event.validImages,
        batches: event.batches,
        cache: event.cache,
        epochsDone: event.epochsDone,
        batchesDone: event.batchesDone,
        parameters: event.summary.parameters,
      });
    } else if (event.type === "epoch") {
      printJson({
        event: "epoch",
        epoch: event.epoch,
        loss: event.train.loss,
        validLoss: event.valid.loss,
        accuracy: event.train.accuracy,
        validAccuracy: event.valid.accuracy,
        mse: event.train.mse,
        validMse: event.valid.mse,
        psnr: event.train.psnr,
        validPsnr: event.valid.psnr,
        imagesPerSecond: event.imagesPerSecond,
        learningRate: event.learningRate,
        seconds: event.seconds,
        best: event.best,
        checkpoint: event.checkpoint,
      });
    } else {
      complain(event);
    }
  }

  reporting(): void {}

  dashboard(url: string): void {
    printJson({ event: "dashboard", url });
  }

  end(result: TrainingResult, report: string | null): void {
    printJson({
      event: "end",
      runDir: result.runDir,
      trainLoss: result.train?.loss ?? null,
      validLoss: result.valid?.loss ?? null,
      trainAccuracy: result.train?.accuracy ?? null,
      validAccuracy: result.valid?.accuracy ?? null,
      epochs: result.epochs,
      bestEpoch: result.bestEpoch,
      stopped: result.stopped,
      seconds: result.seconds,
      badImages: result.badImages,
      pictures: result.pictures,
      report,
      ...(result.traffic === undefined ? {} : { traffic: result.traffic }),
    });
  }
}

function complain(event: TrainingEvent): void {
  if (event.type === "warning") warn(event.message);
  if (event.type === "bad") warn(`skipped ${shownPath(event.file)}: ${event.reason}`);
}

/** `preTrain_verbose` 0: nothing but what went wrong. */
class SilentReporter implements Reporter {
  event(event: TrainingEvent): void {
    complain(event);
  }

  reporting(): void {}

  dashboard(): void {}

  end(): void {}
}

/** A path as one would type it here. */
function shortPath(path: string): string {
  const here = relative(process.cwd(), path);
  return here === "" || here.startsWith("..") ? path : here;
}

const KEPT: Record<StartEvent["cache"], string> = {
  ram: "Decoded images are kept in memory",
  disk: "Decoded images are kept on disk, for later runs too",
  none: "Images are decoded anew each epoch",
};

/** Of a process that trains with others: rank 0 tells everything. */
class NoReporter implements Reporter {
  event(): void {}

  reporting(): void {}

  dashboard(): void {}

  end(): void {}
}

class TextReporter implements Reporter {
  #worldSize: number;
  #makeBar: (epochs: number) => EpochBar | undefined;
  #bar: EpochBar | undefined;
  /** Before there is a bar. */
  #line: StepLine | undefined;
  #epochs = 0;

  /** @param line - Undefined where no progress is shown. */
  constructor(
    worldSize: number,
    makeBar: (epochs: number) => EpochBar | undefined,
    line: StepLine | undefined,
  ) {
    this.#worldSize = worldSize;
    this.#makeBar = makeBar;
    this.#line = line;
  }

  event(event: TrainingEvent): void {
    if (event.type === "batch") {
      this.#bar?.update(event);
      return;
    }
    if (event.type === "listing") {
      this.#line?.listing(event);
      return;
    }
    this.#bar?.clear();
    this.#line?.clear();
    if (event.type === "start") this.#start(event);
    else if (event.type === "epoch") this.#epoch(event);
    else if (event.type === "finishing") {
      if (event.stopped === "early")
        print("No better validation loss for a while: stopping early.");
      print("Restoring the best weights, scoring them and writing the models …");
    } else complain(event);
  }

  #start(event: StartEvent): void {
    this.#epochs = event.epochs;
    this.#bar = this.#makeBar(event.epochs);
    for (const line of summaryLines(event.summary, event.batchSize)) print(line);
    print();
    print(
      `${grouped(event.trainImages)} training and ${grouped(event.validImages)} validation images, ` +
        `on ${event.deviceName} (${event.device}${event.device === "cpu" ? `, ${event.threads} thread${event.threads === 1 ? "" : "s"}` : ""}, ${event.precision})` +
        (this.#worldSize === 1 ? "" : ` in each of ${this.#worldSize} processes`),
    );
    print(KEPT[event.cache]);
    if (event.runDir !== null) print(`Run folder ${shortPath(event.runDir)}`);
    if (event.epochsDone > 0 || event.batchesDone > 0) {
      const within =
        event.batchesDone > 0
          ? ` and ${event.batchesDone} of ${event.batches} batches of the next`
          : "";
      print(
        `Going on after ${event.epochsDone} epoch${event.epochsDone === 1 ? "" : "s"}${within}`,
      );
    }
    print();
  }

  #epoch(event: EpochEvent): void {
    const width = String(this.#epochs).length;
    print(
      `epoch ${String(event.epoch).padStart(width)}/${this.#epochs}` +
        `  loss ${event.train.loss.toFixed(5)}  accuracy ${event.train.accuracy.toFixed(4)}` +
        `  val_loss ${event.valid.loss.toFixed(5)}  val_accuracy ${event.valid.accuracy.toFixed(4)}` +
        `  ${rate(event.imagesPerSecond)} images/s  ${duration(event.seconds)}` +
        `${event.best ? "  best" : ""}${event.checkpoint === null ? "" : "  saved"}`,
    );
  }

  reporting(): void {
    print("Writing report.html …");
  }

  dashboard(url: string): void {
    this.#bar?.clear();
    print(`Dashboard ${url}, until the training ends`);
  }

  end(result: TrainingResult, report: string | null): void {
    this.#bar?.clear();
    const how = { finished: "Finished", early: "Stopped early", interrupted: "Interrupted" };
    const best = result.bestEpoch > 0 ? `, best epoch ${result.bestEpoch}` : "";
    print();
    print(
      `${how[result.stopped]} after ${result.epochs} epoch${result.epochs === 1 ? "" : "s"} in ${duration(result.seconds)}${best}`,
    );
    if (result.train !== null) print(`  training    ${scoreText(result.train)}`);
    if (result.valid !== null) print(`  validation  ${scoreText(result.valid)}`);
    if (result.badImages > 0) {
      print(`  ${result.badImages} images could not be read: see bad_images.csv`);
    }
    if (result.runDir === null) return;
    const folder = shortPath(result.runDir);
    print();
    print(`Everything is in ${folder}:`);
    print("  ae.pt, en.pt               the autoencoder and its encoder, for Node, Python or C++");
    if (result.pictures.includes("valid_comparison.png")) {
      print("  valid_comparison.png       before and after, side by side");
    }
    if (report !== null) print("  report.html                all of it on a page, for a browser");
    print("  metrics.csv, setting.yaml  every epoch's scores, every setting");
    const next = result.stopped === "interrupted" ? "run --resume" : "evaluate";
    print(`Next: flexae ${next} ${/\s/.test(folder) ? JSON.stringify(folder) : folder}`);
  }
}

/** Ends what is under way at the first signal, the process at the second. */
class SignalWatch {
  /** The first signal received. */
  received: NodeJS.Signals | undefined;
  #said = "";
  #end: () => void = () => {};
  #onSignal: (signal: NodeJS.Signals) => void;

  /** @param line - What shows progress, and gives way to a message. */
  constructor(quiet: boolean, line: { clear(): void } | undefined) {
    this.#onSignal = (signal) => {
      if (this.received !== undefined) process.exit(exitCodeFor(signal));
      this.received = signal;
      line?.clear();
      if (!quiet) warn(`${this.#said}; once more stops at once`);
      this.#end();
    };
    process.on("SIGINT", this.#onSignal);
    process.on("SIGTERM", this.#onSignal);
  }

  /** From now on a signal calls `end`, and says so. */
  expect(said: string, end: () => void): void {
    this.#said = said;
    this.#end = end;
  }

  end(): void {
    process.off("SIGINT", this.#onSignal);
    process.off("SIGTERM", this.#onSignal);
  }
}

function exitCodeFor(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}

/**
 * Everything else is safe on disk by now: what goes wrong is said, not thrown.
 *
 * @returns The page's path; null if there is none, after a signal without a word.
 */
async function writeReport(
  runDir: string,
  complainTo: Reporter | null,
  signal: AbortSignal,
): Promise<string | null> {
  try {
    const { report } = await import("../../report/report.js");
    return (await report([runDir], { signal })).out;
  } catch (error) {
    if (signal.aborted) return null;
    const { translateError } = await import("../../addon/errors.js");
    const message = `report.html could not be written: ${translateError(error).message}`;
    complainTo?.event({ type: "warning", message });
    return null;
  }
}

const NO_TRACKING: TrackingOptions = {
  tensorboard: false,
  mlflow: false,
  mlflowExperiment: undefined,
};

function trackingOptions(invocation: Invocation): TrackingOptions {
  const given = (name: string) => optionText(invocation, name) ?? invocation.options[name] === true;
  return {
    tensorboard: given("tensorboard"),
    mlflow: given("mlflow"),
    mlflowExperiment: optionText(invocation, "mlflowExperiment"),
  };
}

/** A number that one of the command's own options was given; undefined if it was not. */
function optionNumber(invocation: Invocation, name: string, most: number): number | undefined {
  const text = optionText(invocation, name);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1 && value <= most) return value;
  const flag = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  throw configError(
    `Expected an integer from 1 to ${most} for --${flag} but received ${JSON.stringify(text)}`,
  );
}

/** The line without `--processes N`. */
function withoutProcesses(argv: readonly string[]): string[] {
  const at = argv.findIndex((word) => word === "--processes" || word.startsWith("--processes="));
  return argv.filter((_, i) => i !== at && !(i === at + 1 && argv[at] === "--processes"));
}

/** Trains in this process, or starts those that do. */
async function train(invocation: Invocation): Promise<number> {
  const { processPlace } = await import("../../processes/environment.js");
  const place = processPlace();
  const processes = optionNumber(invocation, "processes", 1024);
  const joinSeconds = optionNumber(invocation, "joinTimeout", 86_400);
  if (processes !== undefined && place !== undefined) {
    throw configError(
      `--processes starts processes, and this is rank ${place.rank} of ${place.worldSize} already: leave it out`,
    );
  }
  if (processes !== undefined && processes > 1) {
    // What is wrong with the line is said once.
    await invokedSettings(invocation);
    const { loadAddon } = await import("../../addon/loader.js");
    const { processesProblem } = loadAddon().hardware();
    if (processesProblem !== "") {
      throw configError(`Several processes cannot train together: ${processesProblem}.`);
    }
    const { launch } = await import("../../processes/launch.js");
    return await launch(processes, withoutProcesses(process.argv.slice(2)), warn);
  }
  if (place === undefined) return await trainHere(invocation, undefined);
  const { JOIN_SECONDS, ProcessGroup } = await import("../../processes/group.js");
  // Whoever started this process is gone.
  process.once("disconnect", () => process.kill(process.pid, "SIGTERM"));
  process.channel?.unref();
  const group = await ProcessGroup.join(place, joinSeconds ?? JOIN_SECONDS);
  return await trainHere(invocation, group);
}

async function trainHere(invocation: Invocation, group: ProcessGroup | undefined): Promise<number> {
  const isFirst = group?.isFirst ?? true;
  const { Training } = await import("../../runs/training.js");
  const { makeTracker } = await import("../../tracking/track.js");
  const { EpochBar } = await import("../progress.js");
  const { StepLine } = await import("../step_line.js");
  const { OwnDashboard } = await import("../own_dashboard.js");
  const { resume, partial } = invocation.options;
  const settings = await invokedSettings(invocation);
  const verbose = settings.preTrain_verbose;
  const withBar = verbose === 1 && process.stderr.isTTY === true;
  const line = withBar ? new StepLine() : undefined;
  let reporter: Reporter;
  if (!isFirst) reporter = new NoReporter();
  else if (invocation.json) reporter = new JsonReporter();
  else if (verbose === 0) reporter = new SilentReporter();
  else {
    reporter = new TextReporter(
      group?.place.worldSize ?? 1,
      withBar ? (epochs) => new EpochBar(epochs) : () => undefined,
      line,
    );
  }
  const tracker = makeTracker(isFirst ? trackingOptions(invocation) : NO_TRACKING, (message) =>
    reporter.event({ type: "warning", message }),
  );
  let board: InstanceType<typeof OwnDashboard> | undefined;
  const showDashboard = (runDir: string) => {
    board = new OwnDashboard(runDir);
    void board.url.then((url) => {
      if (url === null) warn("the dashboard could not begin; the training goes on without");
      else reporter.dashboard(url);
    });
  };
  const training = new Training(await givenSettings(invocation), {
    resume: typeof resume === "string" ? resume : undefined,
    weights: optionText(invocation, "weights"),
    partial: partial === true,
    processes: group,
    onEvent: (event) => {
      tracker.event(event);
      reporter.event(event);
      if (event.type === "start") expectStop("stopping after this batch");
      if (event.type !== "start" || invocation.options.dashboard !== true) return;
      if (event.runDir !== null) showDashboard(event.runDir);
    },
  });
  const watch = new SignalWatch(invocation.json || verbose === 0 || !isFirst, line);
  const expectStop = (said: string) => watch.expect(said, () => training.cancel());
  // Its images are listed first, which may take a while. It may have begun when it is asked to.
  expectStop("stopping");
  const leaving = new AbortController();
  const writePage = async (runDir: string | null, complainTo: Reporter | null) => {
    if (runDir === null || invocation.options.report === false) return null;
    watch.expect("leaving report.html out", () => leaving.abort());
    complainTo?.reporting();
    return await writeReport(runDir, complainTo, leaving.signal);
  };
  // After the page, which goes to MLflow, too.
  const leavingTrackers = new AbortController();
  const endTracking = async (outcome: TrainingOutcome) => {
    watch.expect("leaving the rest of the tracking out", () => leavingTrackers.abort());
    await tracker.finish(outcome, leavingTrackers.signal);
  };
  try {
    const result = await training.result;
    const page = await writePage(result.runDir, reporter);
    await endTracking({ result });
    reporter.end(result, page);
    const isInterrupted =
      result.stopped === "interrupted" ||
      [leaving, leavingTrackers].some(({ signal }) => signal.aborted);
    return isInterrupted ? exitCodeFor(watch.received ?? "SIGINT") : 0;
  } catch (error) {
    if (watch.received !== undefined && (error as Error).name === "AbortError") {
      return exitCodeFor(watch.received);
    }
    // The page says that it failed, too; why is what counts, and must not be hidden.
    await writePage(training.runDir, null);
    await endTracking({ error });
    throw error;
  } finally {
    line?.clear();
    board?.end();
    watch.end();
  }
}

export const run: CommandDescription = {
  name: "run",
  alias: "train",
  description: "train a model",
  options: [
    [
      "--resume <run>",
      "go on with a run where it ended: its folder, or `last` for the newest in logs/",
    ],
    [
      "--weights <run>",
      "begin with the weights of a run, or of an ae.pt or en.pt, in place of random ones",
    ],
    ["--partial", "layers that --weights does not have, or has of another size, begin new"],
    ["--no-report", "write no report.html"],
    [
      "--tensorboard [dir]",
      "write what TensorBoard reads, to tensorboard/ in the run folder, or to DIR/NAME of it",
    ],
    ["--mlflow [uri]", "tell an MLflow server, http://HOST:5000, or that in MLFLOW_TRACKING_URI"],
    [
      "--mlflow-experiment <name>",
      "the experiment there (MLFLOW_EXPERIMENT_NAME, or flexible-autoencoder)",
    ],
    ["--processes <n>", "train in so many processes on this machine"],
    [
      "--join-timeout <seconds>",
      "how long the processes of a training wait for each other to come (120)",
    ],
    ["--dashboard", "serve a page on which this run and those beside it can be watched"],
  ],
  takesConfig: true,
  run: train,
};
