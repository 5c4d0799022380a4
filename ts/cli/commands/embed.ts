import type { EmbedOptions } from "../../embeddings/embed.js";
import { BadImages } from "../bad_images.js";
import type { CommandDescription } from "../command.js";
import { Counter } from "../counter.js";
import { duration, grouped, rate } from "../format.js";
import { interruptible } from "../interrupt.js";
import { type Invocation, optionText } from "../invocation.js";
import { nameFromHere, print, printJson, warn } from "../output.js";
import { invokedSettings } from "../settings.js";

async function write(invocation: Invocation): Promise<number> {
  const { embed } = await import("../../embeddings/embed.js");
  const { configError } = await import("../../addon/errors.js");
  const { argument, more, options, flags, json } = invocation;
  const text = (name: string) => optionText(invocation, name);
  const out = text("out");
  if (out === undefined) {
    throw configError("Expected a file or a folder for the table: -o embeddings.parquet");
  }
  const settings = await invokedSettings(invocation);
  const counter = process.stderr.isTTY === true && !json ? new Counter("embedded") : undefined;
  const bad = new BadImages(json, counter);
  const ended = await interruptible((signal) =>
    embed(argument, {
      sets: more,
      out,
      loss: options.loss === true,
      sha256: options.sha256 === true,
      append: options.append === true,
      trust: options.trust === true,
      normalize: text("normalize") as EmbedOptions["normalize"],
      shard: text("shard"),
      device: settings.device,
      precision: settings.precision,
      batchSize: settings.batch_size,
      workers: settings.workers,
      maxPixels: settings.max_pixels,
      interpolation: flags.has("interpolation") ? settings.interpolation : undefined,
      signal,
      onProgress: (done, total) => counter?.update(done, total),
      onListing: (listing) => counter?.listing(listing),
      onBad: (file, reason) => bad.add(file, reason),
    }),
  ).finally(() => counter?.clear());
  if ("exitCode" in ended) {
    warn("interrupted; of a folder, what was written is kept, and the same command goes on");
    return ended.exitCode;
  }
  const { warnings, ...result } = ended.result;
  for (const message of warnings) warn(message);
  if (json) {
    printJson({ event: "end", ...result });
    return 0;
  }
  bad.end();
  const kept = result.kept > 0 ? `, ${grouped(result.kept)} were there` : "";
  const left = result.bad > 0 ? `, ${grouped(result.bad)} left out` : "";
  print(
    `${nameFromHere(result.out)}: ${grouped(result.images)} embeddings of ${grouped(result.dims)} numbers${kept}${left}`,
  );
  if (result.images > 0) {
    print(
      `${duration(result.seconds)}, ${rate(result.imagesPerSecond)} images/s, on ${result.device} in ${result.precision}`,
    );
  }
  return 0;
}

export const embed: CommandDescription = {
  name: "embed",
  description: "write what the encoder gives for sets of images as a table",
  argument: ["<model>", "a run folder, `last` for the newest in logs/, an en.pt or an ae.pt"],
  more: [
    "<set...>",
    "sets of images: folders, one a class or flat, lists of files, or containers such as tar shards",
  ],
  options: [
    [
      "-o, --out <file>",
      "the table: a .parquet, .csv, .npy or .jsonl file, or a folder, which gets Parquet files of bounded size and is gone on with where it was left",
    ],
    ["--loss", "add the loss of each image's reconstruction (takes the run's ae.pt)"],
    ["--sha256", "add the SHA-256 of each file"],
    ["--normalize <how>", "l2: embeddings of length 1"],
    ["--append", "to a finished folder or a .parquet, add what is new, and anew what has changed"],
    ["--shard <i/n>", "only this share of the images, as 2/4; slurm: by the place in a job array"],
    ["--trust", "take a model that this program did not write, and run what is in it"],
  ],
  takes: ["device", "precision", "batch_size", "workers", "max_pixels", "interpolation"],
  run: write,
};
