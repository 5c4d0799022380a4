/** `flexae cluster TABLE|RUN -k 10`: which images belong together. */
import { resolve } from "node:path";
import { configError } from "../../addon/errors.js";
import type { Covariance } from "../../addon/types.js";
import type { Wanted } from "../../embeddings/cluster_tables.js";
import type { CommandDescription } from "../command.js";
import { drawSheets, NO_SHEETS, sheetOptions, sheetWish } from "../contact_sheets.js";
import { table as columns, duration, grouped } from "../format.js";
import { interruptible } from "../interrupt.js";
import { type Invocation, optionText } from "../invocation.js";
import { nameFromHere, print, printJson, warn } from "../output.js";
import {
  COMPUTE_DEVICE,
  computeDevice,
  optionBytes,
  optionChoice,
  optionCount,
} from "../own_options.js";
import { invokedSettings } from "../settings.js";
import { stepLine } from "../step_line.js";

/** Sizes shown to a person. */
const SHOWN = 20;

type Fail = (message: string) => Error;

/** `10`, `2..20` or `5,10,20`. */
function readNumbers(text: string, fail: Fail): number[] {
  const wrong = () =>
    fail(
      `Expected a number of clusters (10), several (5,10,20) or 2..20 for k but received ${text}`,
    );
  const range = /^(\d+)\.\.(\d+)$/.exec(text);
  if (range !== null) {
    const [from, to] = [Number(range[1]), Number(range[2])];
    if (from < 1 || from > to || to - from > 1000) throw wrong();
    return Array.from({ length: to - from + 1 }, (_, i) => from + i);
  }
  const numbers = text.split(",").map(Number);
  if (numbers.some((number) => !Number.isInteger(number) || number < 1)) throw wrong();
  return numbers;
}

async function find(invocation: Invocation): Promise<number> {
  const { checkAssignmentsName } = await import("../../embeddings/cluster_files.js");
  const { checkSheetsFolder, SHEET_IMAGES } = await import("../../embeddings/cluster_sheets.js");
  const { clusterTables } = await import("../../embeddings/cluster_tables.js");
  const { argument, more, options, json } = invocation;
  const text = (name: string) => optionText(invocation, name);
  const out = text("out") ?? "clusters.csv";
  checkAssignmentsName(out);
  const predict = text("predict");
  const k = text("clusters");
  if ((k === undefined) === (predict === undefined)) {
    throw configError(
      "Expected -k with a number of clusters, or --predict with clusters found before",
    );
  }
  const settings = await invokedSettings(invocation);
  const how = {
    method: optionChoice(invocation, "method", ["kmeans", "gmm"]),
    covariance: optionChoice<Covariance>(invocation, "covariance", ["full", "diag", "tied"]),
    restarts: optionCount(invocation, "restarts"),
    spherical: options.spherical === true,
    seed: settings.seed,
    clusters: k === undefined ? [] : readNumbers(k, configError),
  };
  if (how.spherical && how.method === "gmm") {
    throw configError("--spherical means nothing to a mixture: leave it out, or take kmeans");
  }
  if (how.covariance !== undefined && how.method !== "gmm") {
    throw configError("--covariance means nothing to k-means: leave it out, or take --method gmm");
  }
  const sheets = sheetWish(invocation);
  const memory = optionBytes(invocation, "memory");
  const device = computeDevice(invocation);
  const wanted: Wanted = predict === undefined ? { find: how } : { clusters: predict };
  const sheetImages = sheets.drawn ? (sheets.images ?? SHEET_IMAGES) : 0;
  if (sheets.drawn) await checkSheetsFolder(out);
  const line = stepLine(json);
  const began = performance.now();
  const ended = await interruptible(async (signal) => {
    const onProgress = (step: string, share: number) => line?.update(step, share);
    const options = { memory, device, sheetImages, signal, onProgress };
    const { found, draw } = await clusterTables([argument, ...more], out, wanted, options);
    const drawing = {
      images: sheets.images,
      signal,
      onProgress: (share: number) => line?.update("contact sheets", share),
    };
    const pictures = sheets.drawn ? await drawSheets(() => draw(drawing), signal) : NO_SHEETS;
    return { ...found, ...pictures };
  }).finally(() => line?.clear());
  if ("exitCode" in ended) return ended.exitCode;
  const { method, sizes, inertia, silhouette, scores, curve, passes, sheet, warning } =
    ended.result;
  if (warning !== null) warn(warning);
  const seconds = (performance.now() - began) / 1000;
  if (json) {
    printJson({
      event: "end",
      out: resolve(out),
      sheets: sheet === null ? null : resolve(sheet),
      k: ended.result.k,
      method,
      streamed: passes !== null,
      passes,
      inertia,
      silhouette,
      sizes,
      acc: scores?.accuracy ?? null,
      nmi: scores?.nmi ?? null,
      ari: scores?.ari ?? null,
      purity: scores?.purity ?? null,
      curve,
      seconds,
    });
    return 0;
  }
  const rows = sizes.reduce((a, b) => a + b, 0);
  print(
    `${nameFromHere(out)}: ${grouped(rows)} images in ${grouped(sizes.length)} clusters, ${duration(seconds)}`,
  );
  if (passes !== null)
    print(`read a piece at a time, ${passes === 1 ? "once" : `${passes} times`}`);
  const number = (value: number) => value.toFixed(4);
  if (silhouette !== null)
    print(`silhouette ${number(silhouette)}  inertia ${inertia.toPrecision(6)}`);
  if (scores !== null) {
    const { accuracy, nmi, ari, purity } = scores;
    print(
      `against the classes: ACC ${number(accuracy)}  NMI ${number(nmi)}  ARI ${number(ari)}  purity ${number(purity)}`,
    );
  }
  if (curve.length > 0) {
    const lines = curve.map((entry) => [String(entry.k), number(entry.silhouette)]);
    for (const line of columns([["k", "silhouette"], ...lines], [0, 1])) print(line);
  }
  const shown = sizes.slice(0, SHOWN).map(grouped).join(", ");
  print(`sizes ${shown}${sizes.length > SHOWN ? ", …" : ""}`);
  if (sheet !== null) print(`contact sheets in ${nameFromHere(sheet)}/`);
  if (sizes.includes(0)) warn("some clusters are empty: ask for fewer");
  return 0;
}

export const cluster: CommandDescription = {
  name: "cluster",
  description: "find which images belong together, by their embeddings",
  argument: [
    "<table>",
    "a table of embeddings (see embed), a folder or a pattern ('parts/*.parquet') of Parquet files, or a run folder or `last`, whose training images are embedded first",
  ],
  more: ["[table...]", "more tables, of the same model"],
  options: [
    ["-k, --clusters <n>", "how many: 10, or the best of 5,10,20 or of 2..20 by silhouette"],
    [
      "-o, --out <file>",
      "path, class, cluster, distance, silhouette; .csv or .parquet (clusters.csv)",
    ],
    ["--method <name>", "kmeans, or gmm: a mixture of Gaussians (kmeans)"],
    ["--restarts <n>", "starts, of which the best is taken (10, and 4 of a mixture)"],
    ["--spherical", "kmeans by the directions of embeddings alone"],
    ["--covariance <name>", "of a mixture: full, diag or tied (full)"],
    ["--predict <file>", "assign to the clusters of a ….clusters.json instead"],
    [
      "--memory <bytes>",
      "Parquet files that would take more are read several times, a piece at a time: 4G (half of what there is)",
    ],
    COMPUTE_DEVICE,
    ...sheetOptions("images shown of each cluster in ….sheets, nearest first (100)"),
  ],
  takes: ["seed"],
  run: find,
};
