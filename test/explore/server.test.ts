import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { beforeAll, describe, expect, inject, it, onTestFinished } from "vitest";
import { type ExploreServer, embed, readTable, serveExplorer } from "../../ts/index.ts";
import { ask } from "../support/ask.ts";
import { hasBrowser, openedBrowser, openPage } from "../support/browser.ts";
import { main, start, trainedRun } from "../support/cli.ts";
import { nearestRows } from "../support/nearest.ts";
import { readImage } from "../support/pixels.ts";

describe("the explorer's server", () => {
  const run = trainedRun("--no-report");
  let table: string;
  beforeAll(async () => {
    table = join(run(), "table.parquet");
    await embed(run(), { sets: join(inject("digits"), "train"), out: table, loss: true });
  });

  async function serve(): Promise<ExploreServer> {
    const server = await serveExplorer(table, { method: "pca" });
    onTestFinished(() => server.close());
    return server;
  }

  it("hands out the page, data, sheets, images and neighbours", async () => {
    const { url, images, problems } = await serve();
    const read = await readTable(table);
    const { paths } = read;
    expect({ images, problems }).toEqual({ images: paths.length, problems: [] });
    const page = await ask(url, "/");
    expect(page.status).toBe(200);
    expect(page.headers["content-security-policy"]).toMatch(
      /^default-src 'none'; .*frame-ancestors 'none'$/,
    );
    expect(page.headers["cache-control"]).toBe("no-store");
    expect(page.body.toString()).toContain("<title>table.parquet – explore</title>");
    const data = await ask(url, "/data");
    expect(data.body.readUInt32LE(0) % 8).toBe(0);
    const row = 17;
    const neighbours = JSON.parse((await ask(url, `/neighbours/${row}`)).body.toString());
    expect(neighbours).toEqual(nearestRows(read, row, 12));
    const image = await ask(url, `/image/${row}`);
    expect(image.headers["content-type"]).toBe("image/png");
    const file = join(run(), "image.png");
    writeFileSync(file, image.body);
    const [shown, original] = [
      await readImage(file),
      await readImage(join(inject("digits"), "train", paths[row] as string)),
    ];
    for (let y = 0; y < 28; y++) expect(shown.at(14, y)).toEqual(original.at(14, y));
    const sheet = await ask(url, "/sheet/0");
    expect([...sheet.body.subarray(0, 4)]).toEqual([28, 28, 28, 28]);
    const head = await ask(url, "/sheet/0", {}, "HEAD");
    expect([head.status, head.body.length]).toEqual([200, 0]);
    expect(head.headers["content-length"]).toBe(String(sheet.body.length));
  });

  it("answers nothing else, whatever is asked", async () => {
    const { url, images } = await serve();
    const paths = [
      "/nothing",
      "/..",
      "/../../etc/passwd",
      "/%2e%2e/%2e%2e/etc/passwd",
      "//etc/passwd",
      "/image/../../etc/passwd",
      "/image/%2fetc%2fpasswd",
      "/image",
      "/image/",
      "/image/-1",
      "/image/1.5",
      "/image/01",
      "/image/1e1",
      `/image/${images}`,
      "/image/9999999999",
      "/image/99999999999999999999",
      "/image/0?x",
      "/image/0#x",
      "/neighbours/x",
      `/neighbours/${images}`,
      "/sheet/1",
      "/data/0",
      "/constructor",
      "/__proto__/0",
      "/toString",
      "http://127.0.0.1/",
      "*",
    ];
    for (const path of paths) {
      const { status, body } = await ask(url, path);
      expect([path, status, body.toString()]).toEqual([path, 404, "There is nothing here\n"]);
    }
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"]) {
      const { status, headers } = await ask(url, "/", {}, method);
      expect([method, status, headers.allow]).toEqual([method, 405, "GET, HEAD"]);
    }
  });

  it("refuses pages of other sites, and names of other machines", async () => {
    const { url } = await serve();
    const { port } = new URL(url);
    const refused: Record<string, string>[] = [
      { host: "evil.example" },
      { host: `evil.example:${port}` },
      { host: `127.0.0.1.evil.example:${port}` },
      { host: "localhost.evil.example" },
      { origin: "http://evil.example" },
      { origin: "null" },
      { origin: `http://localhost:${port}` },
      { origin: `https://127.0.0.1:${port}` },
      { "sec-fetch-site": "cross-site" },
      { "sec-fetch-site": "same-site" },
      // A page of another site may lead here, and nothing more.
      { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" },
    ];
    for (const headers of refused) {
      const { status, body } = await ask(url, "/data", headers);
      expect([headers, status, body.toString()]).toEqual([headers, 403, "Ask from this machine\n"]);
    }
    for (const headers of [
      { host: `localhost:${port}` },
      { host: `localhost:${port}`, origin: `http://localhost:${port}` },
      { "sec-fetch-site": "none" },
      { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" },
      // As of a port that is forwarded.
      { host: "localhost:9000", origin: "http://localhost:9000" },
      { host: "127.0.0.1" },
    ] as Record<string, string>[]) {
      expect((await ask(url, "/", headers)).status).toBe(200);
    }
  });

  it("says which port cannot be used, and for what", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await new Promise((done) => taken.once("listening", done));
    onTestFinished(() => void taken.close());
    const { port } = taken.address() as AddressInfo;
    await expect(serveExplorer(table, { method: "pca", port })).rejects.toMatchObject({
      code: "FLEXAE_CONFIG",
      message: `Port ${port} cannot be used: another program has it. Name another, or none`,
    });
    await expect(serveExplorer(table, { port: 70_000 })).rejects.toThrow(
      "Expected 0 to 65535 for port but received 70000",
    );
  });

  it("is ended by Ctrl-C, well", async () => {
    const { child, ended, seen } = start([main, "explore", table, "--method=pca"]);
    await seen(/200 images at http:\/\/127\.0\.0\.1:\d+\/ until Ctrl-C\n/);
    child.kill("SIGINT");
    expect(await ended).toMatchObject({ code: 0, signal: null, stderr: "" });
  });

  describe.skipIf(!hasBrowser("The explorer with a server"))("in Chromium", () => {
    const browser = openedBrowser();

    it("draws the map, and fetches what is looked at", async () => {
      const { url } = await serve();
      const viewport = { width: 1280, height: 900 };
      const { opened, seen } = await openPage(browser(), url, { viewport });
      await opened.locator("html[data-ready]").waitFor({ state: "attached" });
      expect(seen.requests.slice(0, 2)).toEqual([url, `${url}data`]);
      await opened.locator("#search").fill("digit_4/001");
      await opened.locator("#search-results button").click();
      const image = opened.locator("#image .picture img");
      await image.waitFor();
      expect(await image.evaluate((img) => (img as HTMLImageElement).naturalWidth)).toBe(28);
      await expect.poll(() => opened.locator("#neighbours button").count()).toBe(12);
      expect(seen.requests).toContain(`${url}sheet/0`);
      expect(seen.console).toEqual([]);
    });
  });
});
