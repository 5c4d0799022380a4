/** Runs in words. */
import type { LiveRun } from "../../ts/dashboard/wire.ts";
import { duration, figure, grouped } from "../../ts/report/format.ts";

export { duration, figure, grouped };

/** Bytes, in units that a person knows. */
export function bytes(value: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  let rest = value;
  while (rest >= 1024 && unit < units.length - 1) {
    rest /= 1024;
    unit++;
  }
  return `${unit === 0 || rest >= 100 ? Math.round(rest) : rest.toFixed(1)} ${units[unit]}`;
}

/** Seconds that are left, without more digits than anybody can know. */
function roughly(seconds: number): string {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60 * 48) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${(minutes / 60 / 24).toFixed(1)} days`;
}

export const left = ({ secondsLeft }: LiveRun): string =>
  secondsLeft === null ? "" : `${roughly(secondsLeft)} left`;

export const isRunning = ({ state }: LiveRun): boolean => state === "running";

/** From 0 to 1; null where nobody knows how many epochs there will be. */
export function shareDone({ epochs, epochsWanted, progress, state }: LiveRun): number | null {
  if (epochsWanted === null || epochsWanted <= 0) return null;
  // The epoch that goes on counts by its batches; validating it is the end of it.
  const part =
    state !== "running" || progress === null || progress.epoch <= epochs
      ? 0
      : progress.phase === "validate"
        ? 0.99
        : progress.batch / Math.max(1, progress.batches);
  return Math.min(1, (epochs + Math.min(part, 0.99)) / epochsWanted);
}

/** `12 of 200`. */
export const epochsText = ({ epochs, epochsWanted }: LiveRun): string =>
  epochsWanted === null ? grouped(epochs) : `${grouped(epochs)} of ${grouped(epochsWanted)}`;

/** A score by its name; null where it is not known. */
export const scoreOf = ({ scores }: LiveRun, name: string): number | null =>
  scores.find((score) => score.name === name)?.value ?? null;

/** Which colour a state has. */
export function toneOf(state: string): "going" | "good" | "bad" | "plain" {
  if (state === "running") return "going";
  if (state === "finished" || state === "early") return "good";
  return ["failed", "killed", "unreadable"].includes(state) ? "bad" : "plain";
}

/** Where a training is and how fast it goes, or what became of it. */
export function progressLine(run: LiveRun): string {
  const { progress, epochs, epochsWanted, device, state, bestEpoch, seconds } = run;
  const of = (n: number, all: number | null) =>
    all === null ? grouped(n) : `${grouped(n)} of ${grouped(all)}`;
  const parts: string[] = [];
  if (!isRunning(run)) {
    parts.push(`${of(epochs, epochsWanted)} epochs`);
    if (bestEpoch !== null) parts.push(`best epoch ${grouped(bestEpoch)}`);
    if (seconds !== null) parts.push(`took ${duration(seconds)}`);
  } else if (progress === null) {
    parts.push(epochs === 0 ? "begins" : `epoch ${of(epochs, epochsWanted)}`, left(run));
  } else {
    const where = progress.phase === "validate" ? "validation batch" : "batch";
    const batch = `${where} ${of(progress.batch, progress.batches)}`;
    parts.push(`epoch ${of(progress.epoch, epochsWanted)}, ${batch}`, left(run));
    if (progress.imagesPerSecond > 0) parts.push(`${speed(progress.imagesPerSecond)} images/s`);
  }
  if (device !== "") parts.push(device);
  if (state === "early") parts.push("stopped early, as it got no better");
  return parts.filter((part) => part !== "").join(" · ");
}

/** Images a second. */
const speed = (value: number) => (value < 100 ? figure(value, 3) : grouped(value));

/** A moment as a time of the day; of another day, with the date. */
export function moment(time: number): string {
  const date = new Date(time);
  const clock = date.toLocaleTimeString("en-GB");
  const isToday = date.toDateString() === new Date().toDateString();
  return isToday ? clock : `${date.toLocaleDateString("sv")} ${clock}`;
}
