/**
 * What a window on the training shows: two files in the run folder that only grow, so that they can
 * be read while they are written, on another machine as well, and hold all up to any death.
 */
import { existsSync, unlinkSync } from "node:fs";
import { cpus, freemem, hostname } from "node:os";
import { join } from "node:path";
import { systemReason, translateError } from "../addon/errors.js";
import { AppendedLines } from "../files/appended.js";
import { unicodePath } from "../files/paths.js";
import { type StripShape, stripPng } from "../imaging/strip.js";
import { VERSION } from "../version.js";
import { EVENTS_FILE, RECONSTRUCTIONS_FILE, STOP_FILE } from "./folder.js";
import { PicturePace } from "./picture_pace.js";
import type { TrainingEvent } from "./training_event.js";

/** Between two lines about batches, at first and at most: a long training is looked at less often. */
const LEAST_MS = 1000;
const MOST_MS = 10_000;
/** A line about batches each so many parts of the time gone by. */
const RARITY = 600;

/** Sums over all cores, in milliseconds. */
function machineTimes(): { busy: number; all: number } {
  let busy = 0;
  let all = 0;
  for (const { times } of cpus()) {
    const { user, nice, sys, idle, irq } = times;
    busy += user + nice + sys + irq;
    all += user + nice + sys + irq + idle;
  }
  return { busy, all };
}

const round = (value: number) => Number(value.toPrecision(4));

/** What this process and the machine do, each time since the time before. */
class LoadMeter {
  #own = process.cpuUsage();
  #machine = machineTimes();
  #time = performance.now();

  read(): { cores: number; machine: number; memory: number; free: number } {
    const own = process.cpuUsage(this.#own);
    const now = performance.now();
    const machine = machineTimes();
    const all = machine.all - this.#machine.all;
    const load = {
      cores: round((own.user + own.system) / 1000 / Math.max(1, now - this.#time)),
      machine: all > 0 ? round((machine.busy - this.#machine.busy) / all) : 0,
      memory: process.memoryUsage.rss(),
      free: freemem(),
    };
    this.#own = process.cpuUsage();
    this.#machine = machine;
    this.#time = now;
    return load;
  }
}

type Reconstructed = Extract<TrainingEvent, { type: "reconstructions" }>;

/** Notes a training's events in its run folder, and looks whether somebody wishes it to end. */
export class LiveLog {
  #folder: string;
  #events: AppendedLines;
  #pictures: AppendedLines;
  #warn: (message: string) => void;
  #stop: () => void;
  #load = new LoadMeter();
  #began = performance.now();
  #due = 0;
  #hasOriginals = false;
  #pace = new PicturePace();
  /** The newest, if it was left out: the last one is not. */
  #leftOut: Reconstructed | undefined;
  #canDraw = true;
  #seesStop = true;

  /**
   * @param warn - Of a file that cannot be written; the training goes on without.
   * @param stop - Somebody made the file `stop`.
   */
  constructor(folder: string, warn: (message: string) => void, stop: () => void) {
    this.#folder = folder;
    this.#warn = warn;
    this.#stop = stop;
    const file = (name: string) =>
      new AppendedLines(join(folder, name), (error) =>
        warn(`${name} could not be written: ${translateError(error).message}`),
      );
    this.#events = file(EVENTS_FILE);
    this.#pictures = file(RECONSTRUCTIONS_FILE);
    // One that came too late for the session before.
    this.#takeStop();
  }

  note(event: TrainingEvent): void {
    if (event.type === "batch") this.#noteBatch(event);
    else if (event.type === "reconstructions") this.#draw(event);
    else if (event.type === "start") {
      const { type, runDir, summary, ...rest } = event;
      this.#add(type, {
        ...rest,
        parameters: summary.parameters,
        host: hostname(),
        pid: process.pid,
        version: VERSION,
      });
    } else if (event.type === "bad") {
      const { type, file, ...rest } = event;
      this.#add(type, { ...rest, file: unicodePath(file) });
    } else {
      const { type, ...rest } = event;
      this.#add(type, rest);
    }
    if (event.type === "epoch") this.#lookForStop();
  }

  /** The training is over. */
  async end(state: string, error: string | null): Promise<void> {
    if (this.#leftOut !== undefined) this.#addPictures(this.#leftOut);
    this.#add("end", error === null ? { state } : { state, error });
    await Promise.all([this.#events.close(), this.#pictures.close()]);
  }

  #add(event: string, rest: object): void {
    this.#events.add(JSON.stringify({ time: Date.now(), event, ...rest }));
  }

  #noteBatch({ type, ...batch }: Extract<TrainingEvent, { type: "batch" }>): void {
    const now = performance.now();
    if (now < this.#due) return;
    this.#due = now + Math.min(MOST_MS, LEAST_MS + (now - this.#began) / RARITY);
    this.#add(type, { ...batch, load: this.#load.read() });
    this.#lookForStop();
  }

  #lookForStop(): void {
    if (this.#seesStop && this.#takeStop()) this.#stop();
  }

  /** Whether there is a file `stop`. It is removed; one that cannot be is seen this once. */
  #takeStop(): boolean {
    const path = join(this.#folder, STOP_FILE);
    if (!existsSync(path)) return false;
    try {
      unlinkSync(path);
    } catch (error) {
      this.#seesStop = false;
      this.#warn(`${STOP_FILE} could not be removed, and no other is seen: ${systemReason(error)}`);
    }
    return true;
  }

  #draw(event: Reconstructed): void {
    const isLeftOut = this.#hasOriginals && !this.#pace.takes(event.epoch);
    this.#leftOut = isLeftOut ? event : undefined;
    if (!isLeftOut) this.#addPictures(event);
  }

  #addPictures({ epoch, shape, originals, reconstructions }: Reconstructed): void {
    if (!this.#canDraw) return;
    try {
      if (!this.#hasOriginals) this.#addPicture(0, shape, originals);
      this.#hasOriginals = true;
      this.#addPicture(epoch, shape, reconstructions);
    } catch (error) {
      this.#canDraw = false;
      this.#warn(`Reconstructions are not shown: ${translateError(error).message}`);
    }
  }

  #addPicture(epoch: number, shape: StripShape, images: Uint8Array): void {
    const png = stripPng(images, shape).toString("base64");
    this.#pace.add(png.length);
    this.#pictures.add(JSON.stringify({ time: Date.now(), epoch, count: shape[0], png }));
  }
}
