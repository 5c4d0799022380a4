/** One run, as its folder tells it while it grows. */
import { lstat, realpath } from "node:fs/promises";
import { hostname } from "node:os";
import { join, sep } from "node:path";
import { EVENTS_FILE, RECONSTRUCTIONS_FILE, REPORT_FILE, SETTING_FILE } from "../runs/folder.js";
import { describeRun, isHeld, type ListedRun, runValue } from "../runs/list.js";
import { epochColumns, readRunFiles } from "../runs/record.js";
import { COLUMN_NAMES, drawnEpochs, type Epoch, RunEvents, type Start } from "./events.js";
import { openOwn, Tail } from "./tail.js";
import type { Epochs, LiveRun } from "./wire.js";

/** Of a training on another machine nobody knows whether it is there: so long it may say nothing. */
const SILENCE_MS = 10 * 60_000;
/** Bytes of a line about an event; some of what it says is kept, and told to everyone who watches. */
const LONGEST_EVENT = 1 << 16;
/** Of so many epochs the time is averaged, to say how long the rest takes. */
const RECENT = 8;
const SCORES = ["loss", "accuracy", "mse", "psnr"].flatMap((name) => [name, `val_${name}`]);

/** How a line with a picture begins. */
const PICTURE = /^\{"time":(\d{1,15}),"epoch":(\d{1,9}),"count":(\d{1,4}),"png":"/;

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
    const values = epochColumns(row);
    return {
      epoch: row.epoch,
      best: row.best,
      values: COLUMN_NAMES.map((name) => values[name] ?? Number.NaN),
    };
  });
}

/** What epochs took. */
function secondsOf(epochs: readonly Epoch[]): number {
  const at = COLUMN_NAMES.indexOf("seconds");
  return epochs.reduce((sum, { values }) => sum + (values[at] as number), 0);
}

/** A run below the folder that is watched. */
export class WatchedRun {
  readonly folder: string;
  readonly id: number;
  #root: string;
  #stamps = "";
  #listed: ListedRun | null = null;
  #error: string | null = null;
  #events = new RunEvents();
  #tail: Tail;
  #pictures = new Map<number, { at: number; length: number; time: number }>();
  #pictureCount = 0;
  #picturesTail: Tail;
  #curves: { key: string; json: Buffer } | null = null;
  #hasReport = false;
  #earlierOf: Start | null = null;
  #shown = "";
  #row: LiveRun | null = null;

  constructor(folder: string, root: string, id: number) {
    this.folder = folder;
    this.id = id;
    this.#root = root;
    this.#tail = new Tail(join(folder, EVENTS_FILE), LONGEST_EVENT);
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

  /** Whether its folder still lies below the one that is watched, wherever links may lead by now. */
  async isWithin(): Promise<boolean> {
    const place = await realpath(this.folder).catch(() => "");
    const within = this.#root.endsWith(sep) ? this.#root : this.#root + sep;
    return place === this.#root || place.startsWith(within);
  }

  /** Its curves, {@link Epochs} as JSON. Many ask for the same. */
  epochs(): Buffer {
    const key = this.#epochsKey();
    if (this.#curves?.key !== key) {
      const curves: Epochs = drawnEpochs(this.#events.epochs, key);
      this.#curves = { key, json: Buffer.from(JSON.stringify(curves)) };
    }
    return this.#curves.json;
  }

  /** A PNG file. */
  async picture(epoch: number): Promise<Buffer | null> {
    const place = this.#pictures.get(epoch);
    if (place === undefined || !(await this.isWithin())) return null;
    const handle = await openOwn(join(this.folder, RECONSTRUCTIONS_FILE));
    if (handle === null) return null;
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
    if (!(await this.isWithin())) return null;
    const stamp = await stampOf(folder, SETTING_FILE);
    if (stamp === "") return null;
    const events = this.#events;
    await this.#tail.read(
      ({ text }) => events.take(text),
      () => events.clear(),
    );
    await this.#readPictures();
    const hasEvents = events.start !== null;
    if (hasEvents) await this.#readEarlier();
    const stamps = `${stamp} ${hasEvents ? "" : await stampOf(folder, "metrics.csv")}`;
    // Of a run that was killed nothing changes but its lock.
    const isUnsettled = this.#listed?.state === "running" || this.#listed?.state === "killed";
    if (this.#stamps !== stamps || (isUnsettled && !hasEvents)) {
      this.#listed = await describeRun(folder, this.#root);
      this.#error = await this.#readError();
      if (!hasEvents) {
        events.epochs = await readMetrics(folder).catch(() => []);
        if (this.#stamps !== stamps) events.generation++;
      }
      this.#stamps = stamps;
      this.#hasReport = false;
    }
    // It comes after the record.
    if (!this.#hasReport) this.#hasReport = (await stampOf(folder, REPORT_FILE)) !== "";
    const listed = this.#listed as ListedRun;
    return this.#describe(listed, await this.#state(listed, stamp));
  }

  async #readEarlier(): Promise<void> {
    const events = this.#events;
    // Once a beginning: what is not there then does not come.
    if (this.#earlierOf === events.start) return;
    this.#earlierOf = events.start;
    if (events.lacksEarlier()) events.addEarlier(await readMetrics(this.folder).catch(() => []));
  }

  async #readError(): Promise<string | null> {
    if (this.#listed?.state !== "failed") return null;
    return (await readRunFiles(this.folder, { network: false })).error;
  }

  async #readPictures(): Promise<void> {
    await this.#picturesTail.read(
      ({ text, at, length }) => {
        // The picture itself is read when it is asked for.
        const begin = PICTURE.exec(text);
        if (begin === null || !text.endsWith('"}')) return;
        const [time = 0, epoch = 0, count = 0] = begin.slice(1).map(Number);
        this.#pictures.set(epoch, { at, length, time });
        this.#pictureCount = count;
      },
      () => this.#pictures.clear(),
    );
  }

  /**
   * As the record says it; of one that has not ended, as its lock and its events do.
   *
   * @param stamp - Of the record.
   */
  async #state({ state }: ListedRun, stamp: string): Promise<string> {
    if (state !== "running" && state !== "killed") return state;
    const { start, time } = this.#events;
    if (start !== null && start.host !== "" && start.host !== hostname()) {
      return Date.now() - time > SILENCE_MS ? "silent" : "running";
    }
    if (isHeld(this.folder)) return "running";
    // If it has ended since the record was read, that is read the next time.
    return (await stampOf(this.folder, SETTING_FILE)) === stamp ? "killed" : state;
  }

  #secondsLeft(epochsDone: number, wanted: number): number | null {
    const { epochs, progress } = this.#events;
    const recent = epochs.slice(-RECENT);
    const each = secondsOf(recent) / recent.length;
    const within = progress?.phase === "train" ? progress.batch / progress.batches : 0;
    return known(Math.max(0, (wanted - epochsDone - within) * each));
  }

  #describe(listed: ListedRun, state: string): LiveRun {
    const events = this.#events;
    const { epochs, start } = events;
    const hasEnded = state !== "running" && state !== "killed" && state !== "silent";
    const best = epochs.findLast((epoch) => epoch.best);
    const wanted = Number(start?.epochs ?? listed.settings.train_epochs ?? Number.NaN);
    const lastEpoch = epochs.at(-1)?.epoch ?? 0;
    // Of what was trained once more, there may be no picture again yet.
    const pictures = [...this.#pictures]
      .filter(([epoch, { time }]) => epoch > 0 && epoch <= lastEpoch && events.stands(epoch, time))
      .map(([epoch]) => epoch);
    return {
      id: this.id,
      name: listed.name,
      state,
      started: listed.started,
      seconds: known(hasEnded ? listed.seconds : secondsOf(epochs)),
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
      pictures: pictures.sort((a, b) => a - b),
      picturesKey: `${events.generation}`,
      pictureCount: this.#pictureCount,
      loads: events.loads,
      warnings: events.warnings,
      badImages: events.badImages,
      error: this.#error,
      hasReport: this.#hasReport,
    };
  }
}
