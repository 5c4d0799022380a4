/** A browser for tests of pages, and a server of files. */
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { extname, join } from "node:path";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
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

/** What a page did that it may not do. */
export interface Seen {
  console: string[];
  requests: string[];
  dialogs: string[];
}

/** Opens an address, and notes what the page does. It is closed with the test. */
export async function openPage(
  browser: Browser,
  url: string,
  options: BrowserContextOptions,
): Promise<{ opened: Page; seen: Seen }> {
  const context = await browser.newContext(options);
  onTestFinished(() => context.close());
  const opened = await context.newPage();
  const seen: Seen = { console: [], requests: [], dialogs: [] };
  opened.on("console", (message) => {
    // How fast a driver is is no matter of the page.
    if (!message.text().includes("GL Driver Message")) seen.console.push(message.text());
  });
  opened.on("pageerror", (error) => seen.console.push(error.message));
  opened.on("request", (request) => seen.requests.push(request.url()));
  opened.on("dialog", (dialog) => {
    seen.dialogs.push(dialog.message());
    void dialog.dismiss();
  });
  await opened.goto(url);
  return { opened, seen };
}

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** What axe-core finds by the rules of WCAG 2.2, levels A and AA. */
export async function violations(opened: Page): Promise<string[]> {
  await opened.evaluate(axe);
  return await opened.evaluate(async () => {
    const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
    const runOnly = { type: "tag" as const, values: tags };
    // biome-ignore lint/suspicious/noExplicitAny: it was put into the page just now.
    const found = await (globalThis as any).axe.run(document, { runOnly });
    return found.violations.flatMap((violation: { id: string; nodes: { html: string }[] }) =>
      violation.nodes.map(({ html }) => `${violation.id}: ${html}`),
    );
  });
}
