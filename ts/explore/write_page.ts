/** A page that has all in one file, and needs neither a server nor a network. */
import { realpath } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { configError } from "../addon/errors.js";
import { makeFolders } from "../files/folders.js";
import { shownPath } from "../files/paths.js";
import { StagedFile } from "../files/staged.js";
import { readAssets } from "../pages/assets.js";
import { base64Script } from "../pages/html.js";
import { type ExploreOptions, prepare } from "./exploration.js";
import { explorePage } from "./page.js";
import { drawSheet } from "./sheets.js";

/** What was written. */
export interface ExplorerFile {
  /** Absolute path of the page. */
  out: string;
  /** Images on it. */
  images: number;
  /** How many could not be read, so that they have no thumbnail. */
  unreadable: number;
  /** Its length. */
  bytes: number;
  /** What could not be had, and why. */
  problems: string[];
}

const compress = promisify(gzip);

/** The page must not take the place of what it is made of. */
async function checkOut(out: string, inputs: readonly (string | undefined)[]): Promise<void> {
  const place = await realpath(out).catch(() => null);
  if (place === null) return;
  for (const input of inputs) {
    if (input === undefined || (await realpath(input).catch(() => null)) !== place) continue;
    throw configError(`${shownPath(out)} is what the page is made of: name another file`);
  }
}

/** What `writeExplorer` of `ts/index.ts` does. */
export async function writeExplorer(
  name: string,
  out: string,
  options: ExploreOptions = {},
): Promise<ExplorerFile> {
  const { signal, onProgress } = options;
  const path = resolve(out);
  await checkOut(path, [name, options.map, ...(options.columns ?? [])]);
  const assets = await readAssets("explore");
  const exploration = await prepare(name, options, false);
  signal?.throwIfAborted();
  const { header, packer, problems } = exploration;
  const data = await compress(Buffer.concat(packer.finish(header)), { level: 6 });
  const block = base64Script("data", data);
  const { begin, end } = explorePage(header, assets, { source: "page", data: block });
  await makeFolders(dirname(path));
  const file = await StagedFile.create(path);
  let bytes = 0;
  let unreadable = 0;
  const append = async (text: string) => {
    const part = Buffer.from(text);
    bytes += part.length;
    await file.append(part);
  };
  try {
    await append(begin);
    // Behind the script: the map is there before they are.
    const sheets = header.thumbnails?.sheets ?? 0;
    for (let i = 0; i < sheets; i++) {
      onProgress?.("drawing thumbnails", i / sheets);
      const sheet = await drawSheet(exploration, i, signal);
      unreadable += sheet.unreadable;
      await append(base64Script(`sheet-${i}`, sheet.bytes).text);
    }
    await append(end);
    signal?.throwIfAborted();
    await file.finish();
  } catch (error) {
    await file.abandon();
    throw error;
  }
  return { out: path, images: header.rows, unreadable, bytes, problems };
}
