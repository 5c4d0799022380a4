/** The page with a server on this machine behind it, which is asked for what is looked at. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { configError, systemReason, translateError } from "../addon/errors.js";
import { callAddon } from "../addon/loader.js";
import { finishJob } from "../embeddings/job.js";
import { decodeWithin } from "../imaging/decode.js";
import { pngFile } from "../imaging/page_picture.js";
import { readAssets } from "../pages/assets.js";
import { type Exploration, type ExploreOptions, prepare } from "./exploration.js";
import { explorePage } from "./page.js";
import { drawSheet } from "./sheets.js";

/** How it is served. */
export interface ServeOptions extends ExploreOptions {
  /** Of this machine alone; 0, a free one, unless given. */
  port?: number | undefined;
}

/** A server that runs. */
export interface ExploreServer {
  /** Where a browser on this machine finds the page. */
  url: string;
  /** Images on it. */
  images: number;
  /** What could not be had, and why. */
  problems: string[];
  /** Ends it. Requests under way are cut off. */
  close(): Promise<void>;
}

const HOST = "127.0.0.1";
/** Longer side of an image that is shown by itself. */
const IMAGE_SIDE = 1024;
/** Sheets that are kept: those that are asked for again when somebody comes back. */
const KEPT_SHEETS = 256;

interface Answer {
  type: string;
  body: Uint8Array | string | readonly Uint8Array[];
  /** Of what never changes while the server runs. */
  isKept?: boolean;
}

/** What paths name: `/sheet/7`. */
type Handler = (number: number, signal: AbortSignal) => Promise<Answer | null>;

/** Names of this machine. By another name a page of another site could have been led here. */
const NAMES: readonly string[] = [HOST, "localhost", "[::1]"];

/**
 * Whether a request comes from a page of this server, or from no page. The port is not looked at:
 * of one that is forwarded, a browser knows another. A link of any page may lead to the page itself.
 */
function isOwn({ headers, url }: IncomingMessage): boolean {
  const { host = "", origin } = headers;
  if (!NAMES.includes(host.replace(/:\d+$/, ""))) return false;
  if (origin !== undefined && origin !== `http://${host}`) return false;
  const site = headers["sec-fetch-site"];
  if (site === undefined || site === "same-origin" || site === "none") return true;
  return headers["sec-fetch-mode"] === "navigate" && url === "/";
}

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
  return {
    "": async () => ({ type: "text/html; charset=utf-8", body: page }),
    data: async () => ({ type: "application/octet-stream", body: data }),
    sheet: async (i) => {
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
    },
    neighbours: async (row, signal) => {
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
    },
    image: async (row, signal) => {
      if (!isRow(row) || !header.hasImages) return null;
      const [image] = await decodeWithin([fileOf(row)], { side: IMAGE_SIDE, maxPixels, signal });
      if (image === undefined || image === null) return null;
      return { type: "image/png", body: pngFile(image, IMAGE_SIDE), isKept: true };
    },
  };
}

/** What is sent with every answer. */
const headersOf = (policy: string): Record<string, string> => ({
  "content-security-policy": `${policy}; frame-ancestors 'none'`,
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
});

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  handlers: Record<string, Handler>,
): Promise<void> {
  const end = (status: number, text: string) =>
    response.writeHead(status, { "content-type": "text/plain; charset=utf-8" }).end(`${text}\n`);
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.setHeader("allow", "GET, HEAD");
    end(405, "GET and HEAD alone are answered");
    return;
  }
  const asked = /^\/(?:([a-z]+)(?:\/(0|[1-9]\d{0,9}))?)?$/.exec(request.url ?? "");
  const [, name = "", number] = asked ?? [];
  const handler = Object.hasOwn(handlers, name) ? handlers[name] : undefined;
  const wantsNumber = !["", "data"].includes(name);
  if (asked === null || handler === undefined || wantsNumber !== (number !== undefined)) {
    end(404, "There is nothing here");
    return;
  }
  const abort = new AbortController();
  response.once("close", () => abort.abort());
  let found: Answer | null;
  try {
    found = await handler(Number(number ?? 0), abort.signal);
  } catch (error) {
    if (!abort.signal.aborted) end(500, translateError(error).message);
    return;
  }
  if (found === null) {
    end(404, "There is nothing here");
    return;
  }
  const { type, body, isKept = false } = found;
  const pieces =
    typeof body === "string" ? [Buffer.from(body)] : "byteLength" in body ? [body] : body;
  response.writeHead(200, {
    "content-type": type,
    "content-length": pieces.reduce((sum, piece) => sum + piece.byteLength, 0),
    // A browser keeps nothing beyond the page: another server may have the port next.
    "cache-control": isKept ? "private, max-age=600" : "no-store",
  });
  if (request.method === "HEAD") {
    response.end();
    return;
  }
  for (const piece of pieces) response.write(piece);
  response.end();
}

/** What `serveExplorer` of `ts/index.ts` does. */
export async function serveExplorer(
  name: string,
  options: ServeOptions = {},
): Promise<ExploreServer> {
  const { port: wanted = 0, signal } = options;
  if (!Number.isInteger(wanted) || wanted < 0 || wanted > 65535) {
    throw configError(`Expected 0 to 65535 for port but received ${wanted}`);
  }
  const assets = await readAssets("explore");
  const exploration = await prepare(name, options, true);
  signal?.throwIfAborted();
  const { begin, end, policy } = explorePage(exploration.header, assets, { source: "server" });
  const handlers = handlersOf(exploration, begin + end);
  const headers = headersOf(policy);
  const server = createServer((request, response) => {
    for (const [key, value] of Object.entries(headers)) response.setHeader(key, value);
    if (!isOwn(request)) {
      response.writeHead(403, { "content-type": "text/plain" }).end("Ask from this machine\n");
      return;
    }
    void answer(request, response, handlers);
  });
  await new Promise<void>((done, fail) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const isTaken = error.code === "EADDRINUSE";
      const reason = isTaken ? "another program has it" : systemReason(error);
      fail(configError(`Port ${wanted} cannot be used: ${reason}. Name another, or none`, error));
    });
    server.listen(wanted, HOST, done);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${HOST}:${port}/`,
    images: exploration.header.rows,
    problems: exploration.problems,
    close: async () => {
      const closed = new Promise<void>((done) => server.close(() => done()));
      server.closeAllConnections();
      await closed;
    },
  };
}
