/** `flexae map TABLE|RUN -o MAP`: embeddings in two dimensions, or a few. */
import { resolve } from "node:path";
import type { FittedMap } from "../../embeddings/map.js";
import type { EmbeddingTable, TableOrigin } from "../../embeddings/table.js";
import type { CommandDescription } from "../command.js";
import { duration, grouped } from "../format.js";
import { interruptible } from "../interrupt.js";
import { type Invocation, optionText } from "../invocation.js";
import { nameFromHere, print, printJson, warn } from "../output.js";
import {
  COMPUTE_DEVICE,
  computeDevice,
  optionChoice,
  optionCount,
  optionNumber,
  shownOption,
} from "../own_options.js";
import { invokedSettings } from "../settings.js";
import { stepLine } from "../step_line.js";

/** What only means something to UMAP. */
const OF_UMAP = ["nNeighbors", "minDist", "metric", "epochs", "search"] as const;
/** What only means something to a map that is made. */
const OF_FIT = ["method", "dims", "fit", ...OF_UMAP] as const;

interface Made {
  places: EmbeddingTable;
  fitted: FittedMap;
  trust: number | null;
  variance: number[] | null;
}

async function make(invocation: Invocation): Promise<number> {
  const { configError } = await import("../../addon/errors.js");
  const { map, placeInMap, trustworthiness } = await import("../../embeddings/map.js");
  const { loadMap, saveMap } = await import("../../embeddings/map_file.js");
  const { tableOf } = await import("../../embeddings/run_table.js");
  const { isFolderName, writeTable } = await import("../../embeddings/writer.js");
  const { argument, json } = invocation;
  const text = (name: string) => optionText(invocation, name);
  const out = text("out") ?? "map.parquet";
  if (isFolderName(out)) {
    throw configError(`Expected a file for the map but received ${out}: name a .parquet`);
  }
  const [fit, transform] = [text("fit"), text("transform")];
  const method = optionChoice(invocation, "method", ["umap", "pca"]);
  const useless = transform === undefined ? (method === "pca" ? OF_UMAP : []) : OF_FIT;
  const given = useless.find((name) => text(name) !== undefined);
  if (given !== undefined) {
    const flag = `--${shownOption(given)}`;
    throw configError(
      transform === undefined
        ? `${flag} means nothing to pca: leave it out, or take umap`
        : `${flag} means nothing to --transform, whose map is made already: leave it out`,
    );
  }
  const options = {
    method,
    dims: optionCount(invocation, "dims"),
    nNeighbors: optionCount(invocation, "nNeighbors", 2),
    minDist: optionNumber(invocation, "minDist", { most: 1 }),
    metric: optionChoice(invocation, "metric", ["euclidean", "cosine"]),
    search: optionChoice(invocation, "search", ["auto", "exact", "approximate"]),
    epochs: optionCount(invocation, "epochs"),
    seed: (await invokedSettings(invocation)).seed,
    device: computeDevice(invocation),
  };
  const line = stepLine(json);
  const began = performance.now();
  const ended = await interruptible(async (signal): Promise<Made> => {
    const table = await tableOf(argument, {
      signal,
      onProgress: (done, total) => line?.update("embedding", done / total),
    });
    const onProgress = (share: number) => line?.update("mapping", share);
    let made: Made;
    if (transform === undefined) {
      const {
        table: places,
        fitted,
        explainedVarianceRatio,
      } = await map(table, {
        ...options,
        signal,
        onProgress,
      });
      const rows = places.paths.length;
      const nNeighbors = Math.min(15, Math.floor((rows - 1) / 2));
      const trust =
        nNeighbors < 1 ? null : await trustworthiness(table, places, { nNeighbors, signal });
      made = { places, fitted, trust, variance: explainedVarianceRatio };
    } else {
      const fitted = await loadMap(transform);
      const places = await placeInMap(fitted, table, {
        device: options.device,
        signal,
        onProgress,
      });
      made = { places, fitted, trust: null, variance: null };
    }
    signal.throwIfAborted();
    if (fit !== undefined) await saveMap(fit, made.fitted);
    await writeTable(resolve(out), made.places, made.places.origin as TableOrigin);
    return made;
  }).finally(() => line?.clear());
  if ("exitCode" in ended) {
    warn("interrupted; nothing was written");
    return ended.exitCode;
  }
  const { places, fitted, trust, variance } = ended.result;
  const seconds = (performance.now() - began) / 1000;
  const images = places.paths.length;
  if (json) {
    printJson({
      event: "end",
      out: resolve(out),
      images,
      method: fitted.method,
      dims: places.dims,
      trustworthiness: trust,
      explainedVarianceRatio: variance,
      seconds,
    });
    return 0;
  }
  const size = `${places.dims} dimension${places.dims === 1 ? "" : "s"}`;
  print(`${nameFromHere(out)}: ${grouped(images)} images in ${size}, ${duration(seconds)}`);
  if (trust !== null) print(`trustworthiness ${trust.toFixed(4)}`);
  if (variance !== null) {
    const shares = variance.map((share) => `${(100 * share).toFixed(1)}%`).join(", ");
    print(`variance along the components: ${shares}`);
  }
  return 0;
}

export const map: CommandDescription = {
  name: "map",
  description: "place images in two dimensions, like beside like, by their embeddings",
  argument: [
    "<table>",
    "a table of embeddings (see embed), or a run folder or `last`, whose training images are embedded first",
  ],
  options: [
    [
      "-o, --out <file>",
      "the same rows with places for embeddings; .parquet, .csv, .npy, .jsonl (map.parquet)",
    ],
    ["--dims <n>", "of the map (2); to cluster it, take about 10"],
    ["--method <name>", "umap, or pca: principal components (umap)"],
    ["--n-neighbors <n>", "neighbours that are kept near; more show larger forms (15)"],
    ["--min-dist <n>", "how close points may lie, 0 to 1; to cluster them, take 0 (0.1)"],
    ["--metric <name>", "how embeddings are compared: euclidean or cosine (euclidean)"],
    ["--search <name>", "of neighbours: auto, exact or approximate (auto)"],
    COMPUTE_DEVICE,
    ["--epochs <n>", "passes over the points (500 for up to 10,000, else 200)"],
    ["--fit <file>", "keep what places further images in this map"],
    ["--transform <file>", "place the images in a map that --fit kept"],
  ],
  takes: ["seed"],
  run: make,
};
