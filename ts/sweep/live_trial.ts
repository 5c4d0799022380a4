/** A trial while its sweep is driven. */
import type { Settings } from "../config/resolve.js";
import type { RungTrial } from "./halving.js";
import { ascending, type SweepMetric } from "./metric.js";
import type { PlannedTrial } from "./plan.js";
import type { Point } from "./points.js";
import {
  bestEpoch,
  isStoppedEarly,
  readTrial,
  type SweepTrial,
  type SweepTrialState,
  scoreAt,
  type TrialRecord,
  trialFolder,
} from "./trials.js";

/** A trial: what its folder says, and what is done with it. */
export class LiveTrial implements RungTrial {
  /** From 1. */
  readonly number: number;
  readonly folder: string;
  readonly point: Point;
  readonly settings: Settings | null;
  readonly rungs: readonly number[];
  #metric: SweepMetric;
  #record: TrialRecord | undefined;
  #scores: (number | null)[] = [];
  /** Why it cannot go on. */
  #problem: string | null;
  isRunning = false;
  /** The rung that it is being trained for, by its folder; null if it is between two. */
  pending: number | null = null;
  /** Epochs of a process under way. */
  epochsSeen = 0;

  constructor(
    sweep: string,
    number: number,
    point: Point,
    planned: PlannedTrial,
    metric: SweepMetric,
  ) {
    this.number = number;
    this.folder = trialFolder(sweep, number);
    this.point = point;
    this.settings = planned.settings;
    this.rungs = planned.rungs ?? [];
    this.#problem = planned.problem;
    this.#metric = metric;
  }

  get scores(): readonly (number | null)[] {
    return this.#scores;
  }

  get isFailed(): boolean {
    return this.#problem !== null;
  }

  /** Whether a process is at work in its folder, or was when it was read. */
  get isHeld(): boolean {
    return this.#record?.isHeld === true;
  }

  /** Whether there is something in its folder to go on with. */
  get hasBegun(): boolean {
    return this.#record !== undefined && this.#record.state !== "none";
  }

  /** Epochs completed. */
  get epochs(): number {
    return Math.max(this.#record?.epochs.at(-1)?.epoch ?? 0, this.epochsSeen);
  }

  /** No better validation loss for a while: more epochs would change nothing. */
  get isEarly(): boolean {
    const record = this.#record;
    if (record === undefined || this.settings === null) return false;
    const hasEnded = record.state === "finished" || record.state === "early";
    return hasEnded && isStoppedEarly(record, this.settings);
  }

  /** Nothing is left to do, as things stand. */
  get isDone(): boolean {
    return this.isFailed || this.isEarly || this.#scores.length === this.rungs.length;
  }

  /**
   * Reads its folder again.
   *
   * @param retry - A training that failed may go on.
   */
  async read(retry = false): Promise<void> {
    if (this.settings === null) return;
    const record = await readTrial(this.folder, this.#metric);
    this.#record = record;
    this.epochsSeen = 0;
    const { state, asked, epochs } = record;
    this.#scores = [];
    this.pending = null;
    if (state === "none") return;
    const last = epochs.at(-1)?.epoch ?? 0;
    const at = this.rungs.findIndex((rung) => rung >= asked);
    const rung = at < 0 ? this.rungs.length - 1 : at;
    const hasEnded = state === "finished" || state === "early";
    const isComplete = hasEnded && (last >= (this.rungs[rung] as number) || this.isEarly);
    const completed = isComplete ? rung + 1 : rung;
    this.#scores = this.rungs.slice(0, completed).map((upTo) => this.#scoreAt(upTo));
    if (isComplete) return;
    this.pending = rung;
    if (state === "failed" && !retry) this.fail(record.problem ?? "its training failed");
  }

  #scoreAt(upTo: number): number | null {
    return ascending(this.#metric, scoreAt(this.#record?.epochs ?? [], upTo));
  }

  /** More epochs are worth nothing: what it has counts for the next rung as well. */
  pass(): void {
    this.#scores.push(this.#scoreAt(Number.POSITIVE_INFINITY));
  }

  fail(problem: string): void {
    this.#problem = problem.replaceAll("\n", " ");
  }

  #state(): SweepTrialState {
    if (this.settings === null) return "invalid";
    if (this.isRunning) return "running";
    if (this.isFailed) return "failed";
    if (this.pending !== null) return this.isHeld ? "running" : "interrupted";
    if (this.#scores.length === 0) return "waiting";
    if (this.isEarly) return "early";
    return this.#scores.length < this.rungs.length ? "stopped" : "finished";
  }

  /** As others see it. */
  describe(): SweepTrial {
    const epochs = this.#record?.epochs ?? [];
    // Without rungs between, trials are compared at their ends.
    const [first = Number.POSITIVE_INFINITY] = this.rungs.length > 1 ? this.rungs : [];
    return {
      trial: this.number,
      folder: this.folder,
      state: this.#state(),
      settings: this.point,
      epochs: this.epochs,
      bestEpoch: bestEpoch(epochs)?.epoch ?? null,
      score: scoreAt(epochs),
      comparedScore: this.#scores.length === 0 ? null : scoreAt(epochs, first),
      seconds: epochs.reduce((sum, { seconds }) => sum + (seconds || 0), 0),
      train: this.#record?.train ?? null,
      valid: this.#record?.valid ?? null,
      ended: this.#record?.ended ?? "",
      problem: this.#problem,
    };
  }
}
