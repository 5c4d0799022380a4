/** A server for a page of this program, careful with whom it answers. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, isIP } from "node:net";
import { hostname } from "node:os";
import { configError, systemReason, translateError } from "../addon/errors.js";

/** What is sent. */
export interface Answer {
  type: string;
  body: Uint8Array | string | readonly Uint8Array[];
  /** Of what never changes while the server runs. */
  isKept?: boolean;
  /** Its own Content Security Policy, in place of the page's. */
  policy?: string;
}

/** Answers a request for `/name` or `/name/number`; null where there is nothing. */
export interface Handler {
  /** Besides the name: how many numbers the address has. */
  numbers: number;
  get(numbers: readonly number[], signal: AbortSignal): Promise<Answer | null>;
}

/** Does what is asked, for `/name/number`. */
export type Action = (
  number: number,
  request: IncomingMessage,
) => Promise<{ status: number; text: string }>;

/** What is served, and where. */
export interface SiteOptions {
  /** By name; the page itself by "". */
  handlers: Readonly<Record<string, Handler>>;
  /** By name, of POST; none unless given. */
  actions?: Readonly<Record<string, Action>>;
  /** The page's Content Security Policy. */
  policy: string;
  /** Address to listen at; this machine alone unless given. */
  host?: string | undefined;
  /** 0 takes a free one. */
  port: number;
}

/** A server that runs. */
export interface Site {
  /** Where a browser finds the page. */
  url: string;
  /** Ends it. Requests under way are cut off. */
  close(): Promise<void>;
}

const LOOPBACK = "127.0.0.1";
/** Names of this machine. By another name a page of another site could have been led here. */
const NAMES: readonly string[] = [LOOPBACK, "localhost", "[::1]"];

/** A host as an address has it, without brackets. */
const bare = (host: string) => host.replace(/^\[(.*)\]$/, "$1");

/**
 * Whether a request comes from a page of this server, or from no page. The port is not looked at:
 * of one that is forwarded, a browser knows another. A link of any page may lead to the page itself.
 *
 * @param own - What it was told to listen at.
 * @param isOpen - Other machines may ask, too: by any number, which nobody can redirect.
 */
function isOwn({ headers, url }: IncomingMessage, own: string, isOpen: boolean): boolean {
  const { host = "", origin } = headers;
  const name = host.replace(/:\d+$/, "").toLowerCase();
  const isKnown = NAMES.includes(name) || bare(name) === bare(own).toLowerCase();
  const isReached = isOpen && (isIP(bare(name)) !== 0 || name === hostname().toLowerCase());
  if (!isKnown && !isReached) return false;
  if (origin !== undefined && origin !== `http://${host}`) return false;
  const site = headers["sec-fetch-site"];
  if (site === undefined || site === "same-origin" || site === "none") return true;
  return headers["sec-fetch-mode"] === "navigate" && url === "/";
}

function say(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8" }).end(`${text}\n`);
}

const NOTHING = "There is nothing here";

/** Name and numbers of an address; null if it is none of ours. */
function parse(url: string): { name: string; numbers: number[] } | null {
  const asked = /^\/([a-z]*)((?:\/(?:0|[1-9]\d{0,9})){0,2})$/.exec(url);
  if (asked === null) return null;
  const [, name = "", rest = ""] = asked;
  return { name, numbers: rest.split("/").slice(1).map(Number) };
}

async function act(
  request: IncomingMessage,
  response: ServerResponse,
  actions: Readonly<Record<string, Action>>,
): Promise<void> {
  // Nothing of a body is wanted.
  request.resume();
  const asked = parse(request.url ?? "");
  const action = asked && Object.hasOwn(actions, asked.name) ? actions[asked.name] : undefined;
  const [number, ...more] = asked?.numbers ?? [];
  if (action === undefined || number === undefined || more.length > 0) {
    say(response, 404, NOTHING);
    return;
  }
  const { status, text } = await action(number, request);
  if (status === 204) response.writeHead(204).end();
  else say(response, status, text);
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { handlers, actions = {} }: SiteOptions,
): Promise<void> {
  if (request.method === "POST" && Object.keys(actions).length > 0) {
    await act(request, response, actions);
    return;
  }
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.setHeader("allow", "GET, HEAD");
    say(response, 405, "GET and HEAD alone are answered");
    return;
  }
  const asked = parse(request.url ?? "");
  const handler = asked && Object.hasOwn(handlers, asked.name) ? handlers[asked.name] : undefined;
  if (asked === null || handler === undefined || handler.numbers !== asked.numbers.length) {
    say(response, 404, NOTHING);
    return;
  }
  const abort = new AbortController();
  response.once("close", () => abort.abort());
  let found: Answer | null;
  try {
    found = await handler.get(asked.numbers, abort.signal);
  } catch (error) {
    if (abort.signal.aborted) return;
    throw error;
  }
  if (found === null) {
    say(response, 404, NOTHING);
    return;
  }
  const { type, body, isKept = false, policy } = found;
  const pieces =
    typeof body === "string" ? [Buffer.from(body)] : "byteLength" in body ? [body] : body;
  if (policy !== undefined) response.setHeader("content-security-policy", policy);
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

/** @throws FlexaeError `FLEXAE_CONFIG` if it is none. */
export function checkPort(port: number): void {
  if (Number.isInteger(port) && port >= 0 && port <= 65535) return;
  throw configError(`Expected 0 to 65535 for port but received ${port}`);
}

/**
 * Serves a page. Requests by other names of this machine, and of pages of other sites, are refused.
 *
 * @throws FlexaeError `FLEXAE_CONFIG` if it cannot listen there.
 */
export async function servePages(options: SiteOptions): Promise<Site> {
  const { policy, host = LOOPBACK, port: wanted } = options;
  checkPort(wanted);
  // Node would listen to all the world.
  if (host === "") throw configError("Expected an address for host but received none");
  const headers = Object.entries({
    "content-security-policy": `${policy}; frame-ancestors 'none'`,
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
  });
  const isOpen = !NAMES.includes(host) && !/^(127\.|::1$)/.test(host);
  const server = createServer((request, response) => {
    for (const [key, value] of headers) response.setHeader(key, value);
    if (!isOwn(request, host, isOpen)) {
      say(response, 403, isOpen ? "Ask by this machine's IP address" : "Ask from this machine");
      return;
    }
    answer(request, response, options).catch((error) => {
      if (response.headersSent) response.destroy();
      else say(response, 500, translateError(error).message);
    });
  });
  await new Promise<void>((done, fail) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") {
        const reason = "another program has it";
        fail(configError(`Port ${wanted} cannot be used: ${reason}. Name another, or none`, error));
      } else {
        const reason = systemReason(error);
        fail(configError(`It cannot be served at ${host}, port ${wanted}: ${reason}`, error));
      }
    });
    server.listen(wanted, bare(host), done);
  });
  const { port, family, address } = server.address() as AddressInfo;
  // All addresses of this machine are none that a browser elsewhere could open.
  const isAny = address === "0.0.0.0" || address === "::";
  const shown = isAny ? hostname() : family === "IPv6" ? `[${address}]` : address;
  return {
    url: `http://${shown}:${port}/`,
    close: async () => {
      const closed = new Promise<void>((done) => server.close(() => done()));
      server.closeAllConnections();
      await closed;
    },
  };
}
