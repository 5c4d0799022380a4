import type { Verified } from "../../export/format.js";
import type { CommandDescription } from "../command.js";
import { bytes, duration, table } from "../format.js";
import { interruptible } from "../interrupt.js";
import { type Invocation, optionText } from "../invocation.js";
import { nameFromHere, print, printJson, warn } from "../output.js";
import { optionChoice } from "../own_options.js";

/** What is said of files that were run. */
function verifiedText({ format, files, images, tooLarge, ...most }: Verified): string[] {
  const unread = tooLarge.map(
    (file) =>
      `${format}: ${file} · too large to be read as a model; its weights were compared bit by bit`,
  );
  return files.length === 0 ? unread : [ranText(format, files, images, most), ...unread];
}

function ranText(
  format: string,
  files: readonly string[],
  images: number,
  { embedding, reconstruction }: Pick<Verified, "embedding" | "reconstruction">,
): string {
  const most = Math.max(embedding, reconstruction);
  const what =
    most === 0
      ? "gives the same as the native pass"
      : `differs from the native pass by at most ${most.toExponential(0)}`;
  const few = images === 1 ? ", on one image, since it is large" : "";
  // What is beside them is text, which nothing here runs.
  const text = format === "pytorch" ? "; model.py is not run" : "";
  return `${format}: ${files.join(", ")} · ${what}${few}${text}`;
}

async function write(invocation: Invocation): Promise<number> {
  const { configError } = await import("../../addon/errors.js");
  const { exportModel } = await import("../../verify/export_model.js");
  const { argument, json, options } = invocation;
  const to = optionText(invocation, "to");
  if (to === undefined) throw configError("Expected the formats to write: --to onnx,pytorch");
  const given = {
    to,
    out: optionText(invocation, "out"),
    input: optionChoice(invocation, "input", ["float32", "uint8"]),
    withResize: options.withResize === true,
    half: options.half === true,
    license: optionText(invocation, "license"),
  };
  const ended = await interruptible((signal) => exportModel(argument, { ...given, signal }));
  if ("exitCode" in ended) {
    warn("interrupted; nothing was written");
    return ended.exitCode;
  }
  const { out, files, seconds, ...rest } = ended.result;
  if (json) {
    printJson({ event: "end", out, ...rest, files, seconds });
    return 0;
  }
  for (const line of table(
    files.map((file) => [file.name, bytes(file.bytes)]),
    [1],
  )) {
    print(line);
  }
  const { half } = rest;
  if (half !== undefined) {
    print(
      `fp16: a number differs by at most ${half.absolute.toPrecision(2)} (${half.absoluteOf}), ` +
        `a weight by ${half.relative.toPrecision(2)} of its norm (${half.relativeOf}); ` +
        `an embedding by ${half.outputs.embedding.toPrecision(2)} of the largest, ` +
        `a pixel by ${half.outputs.reconstruction.toPrecision(2)}`,
    );
  }
  for (const verified of rest.verified) for (const text of verifiedText(verified)) print(text);
  print(`${nameFromHere(out)}: written and checked, ${duration(seconds)}`);
  return 0;
}

export const exportCommand: CommandDescription = {
  name: "export",
  description: "write a trained model for other programs: ONNX, PyTorch, safetensors, Keras",
  argument: ["<run>", "a run folder, `last` for the newest in logs/, or an ae.pt"],
  options: [
    [
      "--to <formats>",
      "onnx, pytorch, safetensors, keras, torchscript, or several of them with commas",
    ],
    ["-o, --out <folder>", "where to; replaced if it holds the same export (export in the run)"],
    ["--input <type>", "what ONNX graphs take: float32, in [0, 1], or uint8 (float32)"],
    ["--with-resize", "ONNX graphs take N×H×W×C bytes of any size and resize as training does"],
    ["--half", "weights in fp16 for onnx, pytorch, safetensors; about half as large"],
    ["--license <name>", "what the model card says of the licence, such as mit (unknown)"],
  ],
  run: write,
};
