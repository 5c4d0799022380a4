/** `flexae explore TABLE|RUN`: the map of a set of images, to look around in. */
import type { ServeOptions } from "../../explore/server.js";
import type { CommandDescription } from "../command.js";
import { bytes, duration, grouped } from "../format.js";
import { interruptible } from "../interrupt.js";
import { type Invocation, optionText } from "../invocation.js";
import { nameFromHere, print, printJson, warn } from "../output.js";
import { optionChoice, optionNumber } from "../own_options.js";
import { invokedSettings } from "../settings.js";
import { type StepLine, stepLine } from "../step_line.js";

/** From so many images on, a file opens slowly, and a server is better. */
const MANY = 200_000;

async function write(
  { argument, json }: Invocation,
  out: string,
  options: ServeOptions,
  line: StepLine | undefined,
): Promise<number> {
  const { writeExplorer } = await import("../../explore/write_page.js");
  const began = performance.now();
  const ended = await interruptible((signal) =>
    writeExplorer(argument, out, { ...options, signal }),
  ).finally(() => line?.clear());
  if ("exitCode" in ended) {
    warn("interrupted; nothing was written");
    return ended.exitCode;
  }
  const seconds = (performance.now() - began) / 1000;
  const { out: path, images, unreadable, bytes: size, problems } = ended.result;
  for (const problem of problems) warn(problem);
  if (unreadable > 0) {
    const where = "paths begin in the current folder; --image-dir says where else";
    warn(
      `${grouped(unreadable)} of ${grouped(images)} images cannot be read, and have no thumbnail: ${where}`,
    );
  }
  if (images > MANY) warn("so many images open slowly: without -o a server hands them out");
  if (json) printJson({ event: "end", ...ended.result, seconds });
  else {
    print(
      `${nameFromHere(path)}: ${grouped(images)} images, ${bytes(size)}, ${duration(seconds)}; open it in a browser`,
    );
  }
  return 0;
}

async function serve(
  { argument, json }: Invocation,
  options: ServeOptions,
  line: StepLine | undefined,
): Promise<number> {
  const { serveExplorer } = await import("../../explore/server.js");
  let isServing = false;
  const ended = await interruptible(async (signal) => {
    const server = await serveExplorer(argument, { ...options, signal });
    isServing = true;
    line?.clear();
    const { url, images, problems } = server;
    for (const problem of problems) warn(problem);
    if (json) printJson({ event: "serving", url, images });
    else print(`${grouped(images)} images at ${url} until Ctrl-C`);
    if (!signal.aborted) {
      await new Promise((done) => signal.addEventListener("abort", done, { once: true }));
    }
    await server.close();
  }).finally(() => line?.clear());
  // Ctrl-C is how a server ends; before it began, it was not what was asked for.
  return isServing || !("exitCode" in ended) ? 0 : ended.exitCode;
}

async function look(invocation: Invocation): Promise<number> {
  const { configError } = await import("../../addon/errors.js");
  const { THUMBNAIL_SIZES } = await import("../../explore/exploration.js");
  const text = (name: string) => optionText(invocation, name);
  const [least, most] = THUMBNAIL_SIZES;
  const settings = await invokedSettings(invocation);
  const line = stepLine(invocation.json);
  const out = text("out");
  const port = optionNumber(invocation, "port", { most: 65535, integer: true });
  if (out !== undefined && port !== undefined) {
    throw configError("--port means nothing to a file: leave --port or --out out");
  }
  const columns = text("columns")?.split(",");
  if (columns?.includes("")) {
    throw configError("Expected names of tables for --columns, with commas between them");
  }
  const options: ServeOptions = {
    map: text("map"),
    method: optionChoice(invocation, "method", ["umap", "pca"]),
    columns,
    thumbnails: invocation.options.thumbnails !== false,
    thumbnailSize: optionNumber(invocation, "thumbnailSize", { least, most, integer: true }),
    imageDir: text("imageDir"),
    maxPixels: settings.max_pixels,
    seed: settings.seed,
    onProgress: (step, share) => line?.update(step, share),
  };
  return out === undefined
    ? await serve(invocation, { ...options, port }, line)
    : await write(invocation, out, options, line);
}

export const explore: CommandDescription = {
  name: "explore",
  description: "look around in the map of a set of images, in a browser",
  argument: [
    "<table>",
    "a table of embeddings (see embed) or a map, or a run folder or `last`, whose training images are embedded first",
  ],
  options: [
    [
      "-o, --out <file>",
      "write one page that needs nothing else; unless given, a server is started",
    ],
    ["--map <file>", "a table with the places of the images, by `flexae map` (one is made)"],
    ["--method <name>", "by which one is made: umap or pca (umap)"],
    [
      "--columns <files>",
      "tables whose columns are shown too, such as clusters.csv,outliers.csv; matched by path",
    ],
    [
      "--thumbnail-size <n>",
      "pixels of the longer side, 8 to 255 (64; of many images in a file less)",
    ],
    ["--no-thumbnails", "no thumbnails"],
    ["--image-dir <dir>", "where paths of images begin (the current folder)"],
    ["--port <n>", "of the server, on this machine alone (any that is free)"],
  ],
  takes: ["seed", "max_pixels"],
  run: look,
};
