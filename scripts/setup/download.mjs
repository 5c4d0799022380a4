// Fetches one file over HTTP(S) to a temporary place, whole or not at all.

import { createWriteStream } from "node:fs";
import { rm } from "node:fs/promises";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { SetupError } from "./steps.mjs";

/** An answer that trying again will not change, such as 404. */
export class NotThere extends SetupError {}

async function attempt(url, file, idleTimeout) {
  const controller = new AbortController();
  const stalled = () => controller.abort(new SetupError(`no data for ${idleTimeout / 1000} s`));
  let timer = setTimeout(stalled, idleTimeout);
  try {
    const response = await fetch(url, { signal: controller.signal, redirect: "follow" });
    if (!response.ok || !response.body) {
      const Kind = response.status >= 400 && response.status < 500 ? NotThere : SetupError;
      throw new Kind(`the server answers ${response.status} ${response.statusText}`.trimEnd());
    }
    let received = 0;
    const watch = new Transform({
      transform(chunk, _encoding, next) {
        clearTimeout(timer);
        timer = setTimeout(stalled, idleTimeout);
        received += chunk.length;
        next(null, chunk);
      },
    });
    await pipeline(Readable.fromWeb(response.body), watch, createWriteStream(file), {
      signal: controller.signal,
    });
    const expected = response.headers.get("content-length");
    if (
      expected !== null &&
      !response.headers.has("content-encoding") &&
      received !== Number(expected)
    ) {
      throw new SetupError(`${received} of ${expected} bytes came`);
    }
  } catch (error) {
    throw controller.signal.aborted ? controller.signal.reason : error;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Downloads `url` into `file`, trying up to `tries` times. Leaves no file behind when it fails.
 * @throws {SetupError} naming the address and the reason
 */
export async function download(url, file, { tries = 3, idleTimeout = 60_000 } = {}) {
  for (let left = tries - 1; ; left--) {
    try {
      return await attempt(url, file, idleTimeout);
    } catch (error) {
      await rm(file, { force: true });
      if (left > 0 && !(error instanceof NotThere)) continue;
      const why = error?.cause?.message ?? error.message;
      throw new SetupError(`Cannot download ${url}: ${why}.`);
    }
  }
}
