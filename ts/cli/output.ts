/** What the program prints: results on stdout, everything else on stderr. */

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

export function warn(message: string): void {
  process.stderr.write(`flexae: ${message}\n`);
}
