/** An event file of TensorBoard, which grows record by record. */
import { type FileHandle, open, readFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { makeFolders } from "../files/folders.js";
import { EVENTS_ENDING } from "../runs/event_folder.js";
import {
  decodeEvent,
  type EventMessage,
  encodeEvent,
  fileVersion,
  sessionStart,
} from "./event_schema.js";
import { frame, unframe } from "./tf_record.js";

/** More is not kept for a disk that does not answer: events are then left out. */
const MOST_WAITING = 64 * 2 ** 20;

/** TensorBoard reads the files of a folder in the order of their names. */
let files = 0;
function newName(ending: string): string {
  // With thousandths, as a run may go on within a second.
  const seconds = (Date.now() / 1000).toFixed(3).padStart(14, "0");
  const number = String(files++).padStart(3, "0");
  // The host's name is anybody's, and dots part a name.
  const host = hostname().replace(/[^\w-]/g, "_");
  return `events.out.tfevents.${seconds}.${host}.${process.pid}.${number}${ending}`;
}

/**
 * Steps that count in event files, named in the order in which they were begun: of anything, or of
 * what has a tag.
 */
export async function stepsIn(paths: readonly string[], tag?: string): Promise<number[]> {
  let steps: number[] = [];
  for (const path of paths) {
    for (const record of unframe(await readFile(path))) {
      const { step, sessionLog, summary } = decodeEvent(record);
      if (sessionLog) steps = steps.filter((earlier) => earlier < step);
      if (summary && (tag === undefined || summary.value.some((value) => value.tag === tag))) {
        steps.push(step);
      }
    }
  }
  return steps;
}

/**
 * Events are appended whole, in their order, one write a call of {@link append}, so that a process
 * that is killed leaves all but the last. The file is made with the first of them.
 */
export class EventFile {
  #folder: string;
  #firstStep: number;
  #onFailure: (error: unknown) => void;
  #ending: string;
  #handle: FileHandle | undefined;
  #length = 0;
  #waiting: Buffer[] = [];
  #bytes = 0;
  #writing: Promise<void> | undefined;
  #failed = false;

  /**
   * @param firstStep - What earlier files of the folder have of it, and of later steps, is void.
   * @param onFailure - Called once, with what the system said; nothing is written from then on.
   * @param ending - Of its name.
   */
  constructor(
    folder: string,
    firstStep: number,
    onFailure: (error: unknown) => void,
    ending = EVENTS_ENDING,
  ) {
    this.#folder = folder;
    this.#firstStep = firstStep;
    this.#onFailure = onFailure;
    this.#ending = ending;
  }

  append(...events: readonly EventMessage[]): void {
    if (this.#failed || events.length === 0 || this.#bytes > MOST_WAITING) return;
    if (this.#length === 0 && this.#bytes === 0) {
      const { wallTime } = events[0] as EventMessage;
      this.#add(fileVersion(wallTime));
      this.#add(sessionStart(wallTime, this.#firstStep));
    }
    for (const event of events) this.#add(event);
    this.#writing ??= this.#drain();
  }

  /** Waits until all is written, or cannot be. */
  async flush(): Promise<void> {
    await this.#writing;
  }

  /** The same, and takes no more. */
  async close(): Promise<void> {
    await this.#writing;
    await this.#handle?.close().catch(() => {});
    this.#handle = undefined;
    this.#failed = true;
  }

  #add(event: EventMessage): void {
    const record = frame(encodeEvent(event));
    this.#waiting.push(record);
    this.#bytes += record.length;
  }

  async #drain(): Promise<void> {
    try {
      if (this.#handle === undefined) {
        await makeFolders(this.#folder);
        this.#handle = await open(join(this.#folder, newName(this.#ending)), "wx");
      }
      while (this.#waiting.length > 0) {
        const bytes = Buffer.concat(this.#waiting);
        this.#waiting = [];
        await this.#handle.writeFile(bytes);
        this.#length += bytes.length;
        this.#bytes -= bytes.length;
      }
    } catch (error) {
      this.#failed = true;
      this.#waiting = [];
      // What is cut short would be taken for damage.
      await this.#handle?.truncate(this.#length).catch(() => {});
      this.#onFailure(error);
    } finally {
      this.#writing = undefined;
    }
  }
}
