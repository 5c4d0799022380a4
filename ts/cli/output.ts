/** What the program prints: results on stdout, everything else on stderr. */
import { relative, resolve } from "node:path";
import { shownPath } from "../files/paths.js";

/** Once a reader such as `head` has gone, output is dropped; a training goes on. */
let closed = false;

export function watchOutput(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") throw error;
      if (stream === process.stdout) closed = true;
    });
  }
}

export function print(text = ""): void {
  if (!closed) process.stdout.write(`${text}\n`);
}

/** One JSON value, one line. Numbers that JSON has no word for become null. */
export function printJson(value: unknown): void {
  print(JSON.stringify(value));
}

/** A file or folder as a person names it from the current folder. */
export function nameFromHere(path: string): string {
  return shownPath(relative(process.cwd(), resolve(path)) || ".");
}

export function warn(message: string): void {
  process.stderr.write(`flexae: ${message}\n`);
}
