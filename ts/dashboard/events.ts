/** What the lines of `events.jsonl` tell. Anyone may have written them: nothing is taken on trust. */
import type { Epochs, Load, Progress } from "./wire.js";

type Fields = Record<string, unknown>;

const fieldsOf = (value: unknown): Fields =>
  typeof value === "object" && value !== null ? (value as Fields) : {};
const numberOf = (value: unknown): number => (typeof value === "number" ? value : Number.NaN);
const textOf = (value: unknown): string => (typeof value === "string" ? value : "");
/** For the page: JSON knows no NaN. */
const known = (value: number): number | null => (Number.isFinite(value) ? value : null);

/** A training's last beginning. */
export interface Start {
  time: number;
  epochs: number;
  batches: number;
  epochsDone: number;
  device: string;
  host: string;
}

/** The names of `metrics.csv`, and where an epoch's event has them. */
const COLUMNS: readonly (readonly [name: string, of: "train" | "valid" | "", field: string])[] = [
  ["loss", "train", "loss"],
  ["accuracy", "train", "accuracy"],
  ["mse", "train", "mse"],
  ["psnr", "train", "psnr"],
  ["val_loss", "valid", "loss"],
  ["val_accuracy", "valid", "accuracy"],
  ["val_mse", "valid", "mse"],
  ["val_psnr", "valid", "psnr"],
  ["images_per_second", "", "imagesPerSecond"],
  ["seconds", "", "seconds"],
  ["learning_rate", "", "learningRate"],
];
export const COLUMN_NAMES: readonly string[] = COLUMNS.map(([name]) => name);

/** One epoch. */
export interface Epoch {
  epoch: number;
  best: boolean;
  /** By {@link COLUMN_NAMES}; NaN where there is none. */
  values: readonly number[];
}

const LOADS = 240;
const WARNINGS = 100;

/** Nobody trains more. */
const MOST_EPOCHS = 1_000_000;

/** Of many epochs, so many are drawn. */
const DRAWN = 1000;

/** All that a run's events told so far. */
export class RunEvents {
  start: Start | null = null;
  epochs: Epoch[] = [];
  progress: Progress | null = null;
  loads: Load[] = [];
  warnings: { time: number; message: string }[] = [];
  badImages = 0;
  /** When the last event was. */
  time = Number.NaN;
  /** After which epoch something was trained once more, and when that was known; by the epoch. */
  cuts: { done: number; time: number }[] = [];
  /** Grows whenever epochs are not those before with more behind them. */
  generation = 0;

  /** Forgets everything. */
  clear(): void {
    const generation = this.generation + 1;
    Object.assign(this, new RunEvents(), { generation });
  }

  /** A line of the file. One that cannot be read, as it was cut short, is left out. */
  take(text: string): void {
    let event: Fields;
    try {
      event = fieldsOf(JSON.parse(text));
    } catch {
      return;
    }
    const time = numberOf(event.time);
    if (Number.isFinite(time)) this.time = time;
    switch (event.event) {
      case "start":
        this.#begin(event, time);
        break;
      case "batch":
        this.#takeBatch(event, time);
        break;
      case "epoch":
        this.#takeEpoch(event, time);
        break;
      case "warning":
        this.warnings.push({ time, message: textOf(event.message) });
        if (this.warnings.length > WARNINGS) this.warnings.shift();
        break;
      case "bad":
        this.badImages++;
        break;
      case "end":
        this.progress = null;
        break;
      default:
    }
  }

  #begin(event: Fields, time: number): void {
    const device = textOf(event.device);
    const name = textOf(event.deviceName);
    const threads = numberOf(event.threads);
    const parts = [
      device === "cpu" || name === "" ? "CPU" : `${name} (${device})`,
      device === "cpu" && threads > 0 ? `${threads} thread${threads === 1 ? "" : "s"}` : "",
      textOf(event.precision),
    ];
    this.start = {
      time,
      epochs: numberOf(event.epochs),
      batches: numberOf(event.batches),
      epochsDone: numberOf(event.epochsDone),
      device: parts.filter((part) => part !== "").join(", "),
      host: textOf(event.host),
    };
    this.progress = null;
    this.loads = [];
    // Bad images are met again.
    this.badImages = 0;
    // Epochs after the checkpoint that it goes on from are trained once more.
    if (this.start.epochsDone >= 0) this.#cut(this.start.epochsDone, time);
  }

  /**
   * Whether epochs were done before the training went on of which no line tells: those of an earlier
   * version, or one after whose checkpoint the process was killed before it could write its line.
   */
  lacksEarlier(): boolean {
    const done = this.start?.epochsDone ?? 0;
    return this.epochs.filter(({ epoch }) => epoch <= done).length < done;
  }

  /** Takes those that are not there yet of epochs that were done before the training went on. */
  addEarlier(epochs: readonly Epoch[]): void {
    const done = this.start?.epochsDone ?? 0;
    const known = new Set(this.epochs.map(({ epoch }) => epoch));
    const added = epochs.filter(({ epoch }) => epoch <= done && !known.has(epoch));
    if (added.length === 0) return;
    this.epochs = [...added, ...this.epochs].sort((a, b) => a.epoch - b.epoch);
    this.generation++;
  }

  /** Whether what was noted of an epoch then is still what became of it. */
  stands(epoch: number, time: number): boolean {
    return !this.cuts.some((cut) => epoch > cut.done && time < cut.time);
  }

  #cut(done: number, time: number): void {
    if ((this.epochs.at(-1)?.epoch ?? 0) <= done) return;
    this.epochs = this.epochs.filter(({ epoch }) => epoch <= done);
    // It says all that those after a later epoch did.
    this.cuts = [...this.cuts.filter((cut) => cut.done < done), { done, time }];
    this.generation++;
  }

  #takeBatch(event: Fields, time: number): void {
    this.progress = {
      time,
      phase: event.phase === "validate" ? "validate" : "train",
      epoch: numberOf(event.epoch),
      batch: numberOf(event.batch),
      batches: numberOf(event.batches),
      loss: numberOf(event.loss),
      imagesPerSecond: numberOf(event.imagesPerSecond),
    };
    const { cores, machine, memory, free } = fieldsOf(event.load);
    const load = [time, numberOf(cores), numberOf(machine), numberOf(memory), numberOf(free)];
    if (!load.every(Number.isFinite)) return;
    const [at = 0, busy = 0, share = 0, resident = 0, left = 0] = load;
    this.loads.push({ time: at, cores: busy, machine: share, memory: resident, free: left });
    if (this.loads.length > LOADS) this.loads.shift();
  }

  #takeEpoch(event: Fields, time: number): void {
    const epoch = numberOf(event.epoch);
    if (!Number.isInteger(epoch) || epoch < 1 || epoch > MOST_EPOCHS) return;
    const { train, valid } = { train: fieldsOf(event.train), valid: fieldsOf(event.valid) };
    // After numbers that are not finite, some are trained once more.
    this.#cut(epoch - 1, time);
    this.epochs.push({
      epoch,
      best: event.best === true,
      values: COLUMNS.map(([, of, field]) => {
        const from = of === "" ? event : of === "train" ? train : valid;
        return numberOf(from[field]);
      }),
    });
    // Where epochs are short, most have no line of their batches.
    const { epochs = Number.NaN, batches = Number.NaN } = this.start ?? {};
    this.progress =
      epoch < epochs
        ? {
            time,
            phase: "train",
            epoch: epoch + 1,
            batch: 0,
            batches,
            loss: numberOf(train.loss),
            imagesPerSecond: numberOf(event.imagesPerSecond),
          }
        : null;
  }
}

/** A run's epochs as the page gets them. Of many, as many as can be told apart, and the best. */
export function drawnEpochs(epochs: readonly Epoch[], key: string): Epochs {
  const best = epochs.findLast((epoch) => epoch.best);
  const step = Math.ceil(epochs.length / DRAWN);
  const drawn = epochs.filter(
    (epoch, i) => i % step === 0 || i === epochs.length - 1 || epoch === best,
  );
  return {
    key,
    epoch: drawn.map(({ epoch }) => epoch),
    columns: Object.fromEntries(
      COLUMN_NAMES.map((name, i) => [name, drawn.map(({ values }) => known(values[i] as number))]),
    ),
  };
}
