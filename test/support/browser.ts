/** A browser for tests of pages, and a server of files. */
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join } from "node:path";
import { type Browser, chromium } from "playwright-core";
import { afterAll, beforeAll, onTestFinished } from "vitest";
import { BROWSER_ARGS, browserPath, NO_BROWSER } from "../../scripts/setup/browser.mjs";

/** Whether there is a browser. Where there is none, it is said once a file. */
export function hasBrowser(tests: string): boolean {
  if (browserPath() !== null) return true;
  process.stderr.write(`${tests}: left out, ${NO_BROWSER}\n`);
  return false;
}

/** A browser for all tests of a file; there must be one. */
export function openedBrowser(): () => Browser {
  let browser: Browser | undefined;
  beforeAll(async () => {
    const executablePath = browserPath();
    if (executablePath === null) return;
    browser = await chromium.launch({ executablePath, args: BROWSER_ARGS });
  });
  afterAll(() => browser?.close());
  return () => browser as Browser;
}

const TYPES: Record<string, string> = {
  ".css": "text/css",
  ".html": "text/html",
  ".mjs": "text/javascript",
  ".png": "image/png",
  ".wasm": "application/wasm",
};

/** Hands out the files of a folder while the test runs. Returns the address, a slash behind it. */
export async function serve(folder: string): Promise<string> {
  const server = createServer(async (request, response) => {
    const path = decodeURIComponent(new URL(request.url as string, "http://localhost").pathname);
    const file = join(folder, path.endsWith("/") ? `${path}index.html` : path);
    const bytes = await readFile(file).catch(() => null);
    const type = TYPES[extname(file)] ?? "application/octet-stream";
    response.writeHead(bytes === null ? 404 : 200, { "content-type": type }).end(bytes);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}
