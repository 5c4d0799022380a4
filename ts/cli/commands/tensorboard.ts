/** `flexae tensorboard RUN|TABLE`: what a run, or a table, is to TensorBoard. */
import type { CommandDescription } from "../command.js";
import { grouped } from "../format.js";
import { interruptible } from "../interrupt.js";
import { type Invocation, optionText } from "../invocation.js";
import { nameFromHere, print, printJson, warn } from "../output.js";
import { invokedSettings } from "../settings.js";

const counted = (count: number, what: string) =>
  `${grouped(count)} ${what}${count === 1 ? "" : "s"}`;

async function write(invocation: Invocation): Promise<number> {
  const { writeTensorBoard } = await import("../../tracking/write_tensorboard.js");
  const { argument, json, options } = invocation;
  const settings = await invokedSettings(invocation);
  const ended = await interruptible((signal) =>
    writeTensorBoard(argument, {
      out: optionText(invocation, "out"),
      thumbnails: options.thumbnails !== false,
      imageDir: optionText(invocation, "imageDir"),
      maxPixels: settings.max_pixels,
      signal,
    }),
  );
  if ("exitCode" in ended) {
    warn("interrupted; not everything was written");
    return ended.exitCode;
  }
  const { problems, ...rest } = ended.result;
  const { out, epochs, pictures, rows, unreadable } = rest;
  for (const problem of problems) warn(problem);
  if (unreadable > 0) {
    warn(`${counted(unreadable, "image")} cannot be read: their thumbnails are empty`);
  }
  if (json) {
    printJson({ event: "end", ...rest, problems });
    return 0;
  }
  const parts = [
    ...(epochs > 0 || rows === 0 ? [counted(epochs, "epoch")] : []),
    ...(pictures > 0 ? [counted(pictures, "picture")] : []),
    ...(rows > 0 ? [counted(rows, "embedding")] : []),
  ];
  const folder = nameFromHere(out);
  print(`${folder}: ${parts.join(", ")}; tensorboard --logdir ${folder}`);
  return 0;
}

export const tensorboard: CommandDescription = {
  name: "tensorboard",
  description: "write a run's curves, or a table of embeddings, for TensorBoard",
  argument: [
    "<run>",
    "a run folder, or `last` for the newest in logs/; or a table of embeddings (see embed) or a map",
  ],
  options: [
    [
      "-o, --out <dir>",
      "where to: of a run the folder that gets one with its name (tensorboard/ in the run's own), of a table the folder itself (NAME.tensorboard beside it)",
    ],
    ["--no-thumbnails", "no thumbnails in the embedding projector"],
    ["--image-dir <dir>", "where paths of images begin (the current folder)"],
  ],
  takes: ["max_pixels"],
  run: write,
};
