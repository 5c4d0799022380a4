/** `flexae pack`: sets of images as tar shards. */
import { BadImages } from "../bad_images.js";
import type { CommandDescription } from "../command.js";
import { Counter } from "../counter.js";
import { bytes, grouped } from "../format.js";
import { interruptible } from "../interrupt.js";
import { type Invocation, optionText } from "../invocation.js";
import { nameFromHere, print, printJson, warn } from "../output.js";
import { invokedSettings } from "../settings.js";

const MEGABYTE = 2 ** 20;

async function write(invocation: Invocation): Promise<number> {
  const { pack } = await import("../../dataset/pack.js");
  const { configError } = await import("../../addon/errors.js");
  const { argument, options, json } = invocation;
  const out = optionText(invocation, "out");
  if (out === undefined) throw configError("Expected a folder for the shards: -o shards");
  const size = optionText(invocation, "shardSize");
  const shardBytes = size === undefined ? undefined : Number(size) * MEGABYTE;
  if (shardBytes !== undefined && !(shardBytes >= MEGABYTE && Number.isFinite(shardBytes))) {
    throw configError(`Expected a size of at least 1 MB for --shard-size but received ${size}`);
  }
  const { seed } = await invokedSettings(invocation);
  const counter = process.stderr.isTTY === true && !json ? new Counter("packed") : undefined;
  const bad = new BadImages(json, counter);
  const ended = await interruptible((signal) =>
    pack(argument, {
      out,
      shardBytes: shardBytes === undefined ? undefined : Math.round(shardBytes),
      shuffleSeed: options.shuffle === true ? seed : undefined,
      overwrite: options.overwrite === true,
      signal,
      onProgress: (done, total) => counter?.update(done, total),
      onListing: (listing) => counter?.listing(listing),
      onBad: (file, reason) => bad.add(file, reason),
    }),
  ).finally(() => counter?.clear());
  if ("exitCode" in ended) {
    warn("interrupted; nothing was left");
    return ended.exitCode;
  }
  const { result } = ended;
  if (json) {
    printJson({ event: "end", ...result });
    return 0;
  }
  bad.end("files");
  const classes = result.classes.length > 0 ? ` in ${grouped(result.classes.length)} classes` : "";
  print(
    `${nameFromHere(result.out)}: ${grouped(result.images)} images${classes}, ` +
      `${grouped(result.shards)} shard${result.shards === 1 ? "" : "s"}, ${bytes(result.bytes)}`,
  );
  print(`Next: flexae run --train-dir ${nameFromHere(result.out)}`);
  return 0;
}

export const pack: CommandDescription = {
  name: "pack",
  description: "write a set of images as tar shards, which WebDataset reads, too",
  argument: ["<set>", "a folder, list, container or pattern, or several with commas between"],
  options: [
    ["-o, --out <folder>", "where the shards go: a folder that is not there yet, or empty"],
    ["--shard-size <mb>", "end a shard at so many megabytes (default: 256)"],
    ["--shuffle", "mix the images by --seed, for readers that go from front to back"],
    ["--overwrite", "replace shards that are there"],
  ],
  takes: ["seed"],
  run: write,
};
