/** One run, as its folder tells it while it grows. */
import { lstat, realpath } from "node:fs/promises";
import { hostname } from "node:os";
import { join, sep } from "node:path";
import { callAddon } from "../addon/loader.js";
import { EVENTS_FILE, RECONSTRUCTIONS_FILE, REPORT_FILE, SETTING_FILE } from "../runs/folder.js";
import { describeRun, type ListedRun, runValue } from "../runs/list.js";
import { readRunFiles } from "../runs/record.js";
import { COLUMN_NAMES, drawnEpochs, type Epoch, RunEvents } from "./events.js";
import { openOwn, Tail } from "./tail.js";
import type { Epochs, LiveRun } from "./wire.js";

/** Of a training on another machine nobody knows whether it is there: so long it may say nothing. */
const SILENCE_MS = 10 * 60_000;
/** Of so many epochs the time is averaged, to say how long the rest takes. */
const RECENT = 8;
const SCORES = ["loss", "accuracy", "mse", "psnr"].flatMap((name) => [name, `val_${name}`]);

const known = (value: number | undefined): number | null =>
  value !== undefined && Number.isFinite(value) ? value : null;

/** When a file was last written, and how large it is; "" if it is none of the run's own. */
async function stampOf(folder: string, name: string): Promise<string> {
  const found = await lstat(join(folder, name)).catch(() => null);
  return found?.isFile() ? `${found.ino} ${found.mtimeMs} ${found.size}` : "";
}

/** An epoch of `metrics.csv`, in the order of {@link COLUMN_NAMES}. */
async function readMetrics(folder: string): Promise<Epoch[]> {
  const { epochs } = await readRunFiles(folder, { network: false });
  return epochs.map((row) => {
    const values: Record<string, number> = {
      loss: row.loss,
      accuracy: row.accuracy,
      val_loss: row.validLoss,
      val_accuracy: row.validAccuracy,
      images_per_second: row.imagesPerSecond,
      seconds: row.seconds,
      learning_rate: row.learningRate,
    };
    return {
      epoch: row.epoch,
      best: row.best,
      values: COLUMN_NAMES.map((name) => values[name] ?? Number.NaN),
    };
  });
}

/** A run below the folder that is watched. */
export class WatchedRun {
  readonly folder: string;
  readonly id: number;
  #root: string;
  #stamp = "";
  #listed: ListedRun | null = null;
  #error: string | null = null;
  #events = new RunEvents();
  #tail: Tail;
  #pictures = new Map<number, { at: number; length: number }>();
  #pictureCount = 0;
  #picturesTail: Tail;
  #hasReport = false;
  #shown = "";
  #row: LiveRun | null = null;

  constructor(folder: string, root: string, id: number) {
    this.folder = folder;
    this.id = id;
    this.#root = root;
    this.#tail = new Tail(join(folder, EVENTS_FILE));
    this.#picturesTail = new Tail(join(folder, RECONSTRUCTIONS_FILE));
  }

  /** Null if the folder is no run's, or lies elsewhere. */
  get row(): LiveRun | null {
    return this.#row;
  }

  /** Whether it may change soon. */
  get isRunning(): boolean {
    return this.#row?.state === "running";
  }

  /** Looks again. Whether the row is another one now. */
  async refresh(): Promise<boolean> {
    const row = await this.#read().catch(() => null);
    const shown = JSON.stringify(row);
    if (shown === this.#shown) return false;
    this.#shown = shown;
    this.#row = row;
    return true;
  }

  epochs(): Epochs {
    return drawnEpochs(this.#events.epochs, this.#epochsKey());
  }

  /** A PNG file. */
  async picture(epoch: number): Promise<Buffer | null> {
    const place = this.#pictures.get(epoch);
    const handle =
      place === undefined ? null : await openOwn(join(this.folder, RECONSTRUCTIONS_FILE));
    if (handle === null || place === undefined) return null;
    try {
      const line = Buffer.alloc(place.length);
      await handle.read(line, 0, line.length, place.at);
      const { png } = JSON.parse(line.toString("utf8")) as { png?: unknown };
      return typeof png === "string" ? Buffer.from(png, "base64") : null;
    } catch {
      return null;
    } finally {
      await handle.close();
    }
  }

  #epochsKey(): string {
    const { generation, epochs } = this.#events;
    return `${generation}-${epochs.length}`;
  }

  async #read(): Promise<LiveRun | null> {
    const { folder } = this;
    const place = await realpath(folder);
    if (place !== this.#root && !place.startsWith(this.#root + sep)) return null;
    const stamp = await stampOf(folder, SETTING_FILE);
    if (stamp === "") return null;
    const events = this.#events;
    let hasEvents = true;
    await this.#tail.read(
      ({ text }) => events.take(text),
      () => events.clear(),
    );
    await this.#readPictures();
    if (events.start === null) hasEvents = false;
    const metrics = hasEvents ? "" : await stampOf(folder, "metrics.csv");
    // Of a run that was killed nothing changes but its lock.
    const isUnsettled = this.#listed?.state === "running" || this.#listed?.state === "killed";
    if (this.#stamp !== `${stamp} ${metrics}` || (isUnsettled && !hasEvents)) {
      this.#listed = await describeRun(folder, this.#root);
      this.#error = await this.#readError();
      if (!hasEvents) {
        events.epochs = await readMetrics(folder).catch(() => []);
        if (this.#stamp !== `${stamp} ${metrics}`) events.generation++;
      }
      this.#stamp = `${stamp} ${metrics}`;
      this.#hasReport = (await stampOf(folder, REPORT_FILE)) !== "";
    } else if (!this.#hasReport) {
      this.#hasReport = (await stampOf(folder, REPORT_FILE)) !== "";
    }
    return this.#describe(this.#listed as ListedRun);
  }

  async #readError(): Promise<string | null> {
    if (this.#listed?.state !== "failed") return null;
    return (await readRunFiles(this.folder, { network: false })).error;
  }

  async #readPictures(): Promise<void> {
    await this.#picturesTail.read(
      ({ text, at, length }) => {
        // The picture itself is read when it is asked for.
        const begin = /^\{"epoch":(\d{1,9}),"count":(\d{1,4}),"png":"/.exec(text);
        if (begin === null || !text.endsWith('"}')) return;
        this.#pictures.set(Number(begin[1]), { at, length });
        this.#pictureCount = Number(begin[2]);
      },
      () => this.#pictures.clear(),
    );
  }

  /** As the record says it; of one that has not ended, as its lock and its events do. */
  #state(listed: ListedRun): string {
    const { state } = listed;
    if (state !== "running" && state !== "killed") return state;
    const { start, time, end } = this.#events;
    if (start !== null && start.host !== "" && start.host !== hostname()) {
      return Date.now() - time > SILENCE_MS ? "silent" : "running";
    }
    if (callAddon((addon) => addon.isFolderHeld(this.folder))) return "running";
    // It has ended, and its record is read the next time.
    return end === null ? "killed" : state;
  }

  #secondsLeft(epochsDone: number, wanted: number): number | null {
    const { epochs, progress } = this.#events;
    const recent = epochs.slice(-RECENT);
    const at = COLUMN_NAMES.indexOf("seconds");
    const seconds = recent.reduce((sum, { values }) => sum + (values[at] as number), 0);
    const each = seconds / recent.length;
    const within = progress?.phase === "train" ? progress.batch / progress.batches : 0;
    return known(Math.max(0, (wanted - epochsDone - within) * each));
  }

  #describe(listed: ListedRun): LiveRun {
    const events = this.#events;
    const { epochs, start } = events;
    const state = this.#state(listed);
    const hasEnded = state !== "running" && state !== "killed" && state !== "silent";
    const best = epochs.findLast((epoch) => epoch.best);
    const wanted = Number(start?.epochs ?? listed.settings.train_epochs ?? Number.NaN);
    const pictures = [...this.#pictures.keys()].filter((epoch) => epoch > 0);
    const lastEpoch = epochs.at(-1)?.epoch ?? 0;
    const seconds = epochs.reduce(
      (sum, { values }) => sum + (values[COLUMN_NAMES.indexOf("seconds")] as number),
      0,
    );
    return {
      id: this.id,
      name: listed.name,
      state,
      started: listed.started,
      seconds: known(hasEnded ? listed.seconds : seconds),
      epochs: start === null ? listed.epochs : lastEpoch,
      epochsWanted: known(wanted),
      bestEpoch: known(hasEnded ? listed.bestEpoch : best?.epoch),
      scores: SCORES.map((name) => ({
        name,
        value: hasEnded
          ? known(Number(runValue(listed, name) ?? Number.NaN))
          : known(best?.values[COLUMN_NAMES.indexOf(name)]),
      })),
      secondsLeft: state === "running" ? this.#secondsLeft(lastEpoch, wanted) : null,
      progress: state === "running" ? events.progress : null,
      settings: { ...listed.settings },
      trainImages: known(listed.trainImages),
      validImages: known(listed.validImages),
      parameters: known(listed.parameters),
      device: start?.device ?? "",
      epochsKey: this.#epochsKey(),
      // What was trained once more after an end replaced what was there, or is not there again yet.
      pictures: pictures.filter((epoch) => epoch <= lastEpoch).sort((a, b) => a - b),
      pictureCount: this.#pictureCount,
      loads: events.loads,
      warnings: events.warnings,
      badImages: events.badImages,
      error: this.#error,
      hasReport: this.#hasReport,
    };
  }
}
