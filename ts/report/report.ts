/** `report.html`: a page of a run, or of several. */
import { join, resolve } from "node:path";
import { setImmediate } from "node:timers/promises";
import { configError, translateError } from "../addon/errors.js";
import { awaitAddon } from "../addon/loader.js";
import { writeFileAtomic } from "../files/atomic.js";
import { loadOpenCV } from "../imaging/opencv.js";
import { readAssets } from "../pages/assets.js";
import { findRun, REPORT_FILE, SETTING_FILE } from "../runs/folder.js";
import { readRunFiles } from "../runs/record.js";
import { type RunReport, renderPage } from "./page.js";
import { lookAtSample, type Sample } from "./sample.js";

/** How a report is made. */
export interface ReportOptions {
  /** The file it becomes; `report.html` in the folder of the only run unless given. */
  out?: string | undefined;
  /** Ends it soon; it then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
}

/** What was made. */
export interface Report {
  /** Absolute path of the page. */
  out: string;
  /** Absolute paths of the runs' folders. */
  runs: string[];
  /** Its length. */
  bytes: number;
  /** What could not be shown, and why. */
  problems: string[];
}

/** Lets the event loop go round once, so that a signal received meanwhile is noticed. */
async function throwIfAborted(signal: AbortSignal | undefined): Promise<void> {
  await setImmediate();
  // The first one may be of the round under way.
  await setImmediate();
  signal?.throwIfAborted();
}

async function reportOf(folder: string, signal: AbortSignal | undefined): Promise<RunReport> {
  const files = await readRunFiles(folder);
  let sample: Sample | null = null;
  if (files.settings !== null) {
    try {
      // Without pictures a sample is not worth its time, and the page still has the rest.
      loadOpenCV();
      const model = await awaitAddon((addon) =>
        addon.loadModel(join(folder, "ae.pt"), "cpu", { trust: false, precision: "fp32" }),
      );
      try {
        sample = await lookAtSample(folder, model, files.settings, signal);
      } finally {
        model.dispose();
      }
    } catch (error) {
      signal?.throwIfAborted();
      files.problems.push(`images and embedding: ${translateError(error).message}`);
    }
  }
  return { files, sample };
}

/**
 * Writes a page about runs that needs no other file and no network.
 *
 * @param names - Folders of runs, or `last` for the newest in `logs/`.
 * @throws FlexaeError `FLEXAE_CONFIG` if there is no such run, or several and no `out`, `FLEXAE_IO`,
 *   `FLEXAE_INTERNAL`. Rejects with the reason of an aborted signal. Nothing is then written.
 */
export async function report(
  names: readonly string[],
  { out, signal }: ReportOptions = {},
): Promise<Report> {
  if (names.length === 0) throw configError("Expected at least one run for the report");
  if (names.length > 1 && out === undefined) {
    throw configError("Expected a file for the page of several runs: name it with -o FILE.html");
  }
  const assets = await readAssets("report");
  const runs: RunReport[] = [];
  for (const name of names) {
    signal?.throwIfAborted();
    runs.push(await reportOf(await findRun(name, SETTING_FILE), signal));
  }
  await throwIfAborted(signal);
  const folders = runs.map(({ files }) => files.folder);
  const path = resolve(out ?? join(folders[0] as string, REPORT_FILE));
  const page = Buffer.from(renderPage(runs, assets));
  await throwIfAborted(signal);
  await writeFileAtomic(path, page);
  const problems = runs.flatMap(({ files }) =>
    files.problems.map((problem) => `${files.title}: ${problem}`),
  );
  return { out: path, runs: folders, bytes: page.length, problems };
}
