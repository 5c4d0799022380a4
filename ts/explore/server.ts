/** The page with a server on this machine behind it, which is asked for what is looked at. */
import { callAddon } from "../addon/loader.js";
import { finishJob } from "../embeddings/job.js";
import { decodeWithin } from "../imaging/decode.js";
import { pngFile } from "../imaging/page_picture.js";
import { readAssets } from "../pages/assets.js";
import { type Answer, checkPort, type Handler, type Site, servePages } from "../pages/server.js";
import { type Exploration, type ExploreOptions, prepare } from "./exploration.js";
import { explorePage } from "./page.js";
import { drawSheet } from "./sheets.js";

/** How it is served. */
export interface ServeOptions extends ExploreOptions {
  /** Of this machine alone; 0, a free one, unless given. */
  port?: number | undefined;
}

/** A server that runs. */
export interface ExploreServer extends Site {
  /** Images on it. */
  images: number;
  /** What could not be had, and why. */
  problems: string[];
}

/** Longer side of an image that is shown by itself. */
const IMAGE_SIDE = 1024;
/** Sheets that are kept: those that are asked for again when somebody comes back. */
const KEPT_SHEETS = 256;

/** Answers by what is asked. Sheets that are asked for twice at once are drawn once. */
function handlersOf(exploration: Exploration, page: string): Record<string, Handler> {
  const { header, packer, table, fileOf, maxPixels } = exploration;
  const data = packer.finish(header);
  const sheets = new Map<number, Promise<Answer>>();
  const { count } = header.neighbours;
  const isRow = (row: number) => row < header.rows;
  const sheet = async (i: number): Promise<Answer> => {
    const { bytes } = await drawSheet(exploration, i);
    return { type: "application/octet-stream", body: bytes, isKept: true };
  };
  const whole = (answer: Answer): Handler => ({
    numbers: 0,
    get: async () => answer,
  });
  const numbered = (
    get: (number: number, signal: AbortSignal) => Promise<Answer | null>,
  ): Handler => ({ numbers: 1, get: ([number = 0], signal) => get(number, signal) });
  return {
    "": whole({ type: "text/html; charset=utf-8", body: page }),
    data: whole({ type: "application/octet-stream", body: data }),
    sheet: numbered(async (i) => {
      if (i >= (header.thumbnails?.sheets ?? 0)) return null;
      let drawn = sheets.get(i);
      if (drawn === undefined) {
        drawn = sheet(i);
        drawn.catch(() => sheets.delete(i));
        const [oldest] = sheets.keys();
        if (sheets.size >= KEPT_SHEETS && oldest !== undefined) sheets.delete(oldest);
      }
      sheets.delete(i);
      sheets.set(i, drawn);
      return await drawn;
    }),
    neighbours: numbered(async (row, signal) => {
      if (!isRow(row)) return null;
      const { embeddings, dims } = table;
      const query = embeddings.slice(row * dims, (row + 1) * dims);
      const { indices } = await finishJob(
        callAddon((addon) =>
          addon.nearestNeighboursOf(query, embeddings, dims, { k: count + 1, metric: "euclidean" }),
        ),
        signal,
      );
      const others = Array.from(indices).filter((other) => other !== row);
      return { type: "application/json", body: JSON.stringify(others.slice(0, count)) };
    }),
    image: numbered(async (row, signal) => {
      if (!isRow(row) || !header.hasImages) return null;
      const [image] = await decodeWithin([fileOf(row)], { side: IMAGE_SIDE, maxPixels, signal });
      if (image === undefined || image === null) return null;
      return { type: "image/png", body: pngFile(image, IMAGE_SIDE), isKept: true };
    }),
  };
}

/** What `serveExplorer` of `ts/index.ts` does. */
export async function serveExplorer(
  name: string,
  options: ServeOptions = {},
): Promise<ExploreServer> {
  const { port = 0, signal } = options;
  checkPort(port);
  const assets = await readAssets("explore");
  const exploration = await prepare(name, options, true);
  signal?.throwIfAborted();
  const { begin, end, policy } = explorePage(exploration.header, assets, { source: "server" });
  const site = await servePages({ handlers: handlersOf(exploration, begin + end), policy, port });
  return {
    ...site,
    images: exploration.header.rows,
    problems: exploration.problems,
  };
}
