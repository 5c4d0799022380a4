/** The window on trainings: a page, and what it asks for. */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { systemReason } from "../addon/errors.js";
import { unicodePath } from "../files/paths.js";
import { readAssets } from "../pages/assets.js";
import { type Action, type Handler, type Site, servePages } from "../pages/server.js";
import { LOGS, REPORT_FILE, STOP_FILE } from "../runs/folder.js";
import { dashboardPage } from "./page.js";
import { openOwn } from "./tail.js";
import type { WatchedRun } from "./watched_run.js";
import { Watcher } from "./watcher.js";

/** How the dashboard is served. */
export interface DashboardOptions {
  /** Address to listen at; this machine alone, 127.0.0.1, unless given. */
  host?: string | undefined;
  /** 0, a free one, unless given. */
  port?: number | undefined;
  /** Whether runs can be stopped from the page, by whoever has the token; false unless given. */
  control?: boolean | undefined;
}

/** A dashboard that is served. */
export interface Dashboard extends Site {
  /** Absolute path of the folder that is watched. */
  folder: string;
  /** What the page needs to stop runs; null where it cannot. It is in the address of the page. */
  token: string | null;
}

/**
 * A page of a run is shown for itself: it cannot ask this server for anything, whatever it holds.
 * Its own policy holds besides.
 */
const REPORT_POLICY = [
  "sandbox allow-scripts allow-popups",
  "default-src 'none'",
  "img-src data:",
  "style-src 'unsafe-inline'",
  "script-src 'unsafe-inline'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");
const LARGEST_REPORT = 256 << 20;

async function readReport(run: WatchedRun): Promise<Buffer | null> {
  if (!(await run.isWithin())) return null;
  const handle = await openOwn(join(run.folder, REPORT_FILE));
  if (handle === null) return null;
  try {
    const { size } = await handle.stat();
    return size > LARGEST_REPORT ? null : await handle.readFile();
  } finally {
    await handle.close();
  }
}

const digest = (text: string) => createHash("sha256").update(text).digest();

/** Asks a run to end, as its token allows. The training sees the file, wherever it runs. */
function stopAction(watcher: Watcher, token: string): Action {
  const expected = digest(`Bearer ${token}`);
  return async (id, { headers }) => {
    // Equal lengths, so that the time tells nothing.
    if (!timingSafeEqual(digest(headers.authorization ?? ""), expected)) {
      return { status: 403, text: "The token is not the one this server printed" };
    }
    await watcher.look();
    const run = watcher.find(id);
    if (run === undefined || !(await run.isWithin())) {
      return { status: 404, text: "There is no such run" };
    }
    if (!run.isRunning) return { status: 409, text: "It does not run" };
    try {
      await writeFile(join(run.folder, STOP_FILE), "", { flag: "wx" });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") {
        return { status: 500, text: `It cannot be asked to stop: ${systemReason(error)}` };
      }
    }
    return { status: 204, text: "" };
  };
}

/** What `serveDashboard` of `ts/index.ts` does. */
export async function serveDashboard(
  folder: string = LOGS,
  { host, port = 0, control = false }: DashboardOptions = {},
): Promise<Dashboard> {
  const root = resolve(folder);
  const shown = unicodePath(root);
  const { begin, end, policy } = dashboardPage(shown, await readAssets("dashboard"));
  const watcher = new Watcher(root);
  const token = control ? randomBytes(24).toString("base64url") : null;
  const about = {
    server: randomBytes(8).toString("hex"),
    folder: shown,
    canStop: control,
  };
  const json = (body: string | Buffer) => ({ type: "application/json; charset=utf-8", body });
  const handlers: Record<string, Handler> = {
    "": {
      numbers: 0,
      get: async () => ({ type: "text/html; charset=utf-8", body: begin + end }),
    },
    changes: {
      numbers: 1,
      get: async ([since = 0]) => json(await watcher.changes(since, about)),
    },
    epochs: {
      numbers: 1,
      get: async ([id = 0]) => {
        const run = watcher.find(id);
        return run === undefined ? null : json(run.epochs());
      },
    },
    picture: {
      numbers: 2,
      get: async ([id = 0, epoch = 0]) => {
        const body = (await watcher.find(id)?.picture(epoch)) ?? null;
        return body === null ? null : { type: "image/png", body };
      },
    },
    report: {
      numbers: 1,
      get: async ([id = 0]) => {
        const run = watcher.find(id);
        const body = run === undefined ? null : await readReport(run);
        if (body === null) return null;
        return { type: "text/html; charset=utf-8", body, policy: REPORT_POLICY };
      },
    },
  };
  const actions = token === null ? {} : { stop: stopAction(watcher, token) };
  const site = await servePages({ handlers, actions, policy, host, port });
  const url = token === null ? site.url : `${site.url}#token=${token}`;
  return { ...site, url, folder: root, token };
}
