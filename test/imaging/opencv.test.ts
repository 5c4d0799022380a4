import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { root, start } from "../support/cli.ts";

const module = pathToFileURL(join(root, "dist/imaging/opencv.js"));

/** Ends with matrices that nobody holds any more. */
const SCRIPT = `
  const { loadOpenCV } = await import(${JSON.stringify(module)});
  const cv = loadOpenCV();
  const matrices = [];
  for (let i = 0; i < 300; i++) {
    const matrix = new cv.Mat(Buffer.alloc(30000), 100, 100, cv.CV_8UC3);
    matrices.push({ matrix, others: Array(200).fill({}) });
  }
  process.on("exit", () => { matrices.length = 0; });`;

describe("opencv4nodejs", () => {
  it("lets a process end while its garbage is being collected", async () => {
    // So that V8 is at it at the very end, as by chance it is after many pictures.
    const flags = ["--stress-incremental-marking", "--single-threaded-gc"];
    const ended = await start([...flags, "--input-type=module", "-e", SCRIPT]).ended;
    expect(ended, ended.stderr).toMatchObject({ code: 0, signal: null });
  });
});
