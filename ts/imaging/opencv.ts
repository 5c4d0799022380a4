/** The few calls of opencv4nodejs that pictures need, loaded on first use. */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { FlexaeError } from "../addon/errors.js";

export interface Mat {
  readonly rows: number;
  readonly cols: number;
  resize(rows: number, cols: number, fx: number, fy: number, interpolation: number): Mat;
  copyTo(target: Mat): Mat;
  getRegion(rect: unknown): Mat;
}

export interface OpenCV {
  readonly version: { major: number; minor: number; revision: number };
  readonly Mat: {
    new (data: Buffer, rows: number, cols: number, type: number): Mat;
    new (rows: number, cols: number, type: number, fill: number[]): Mat;
  };
  readonly Rect: new (x: number, y: number, width: number, height: number) => unknown;
  readonly CV_8UC3: number;
  readonly INTER_NEAREST: number;
  imencode(extension: string, image: Mat): Buffer;
}

const require = createRequire(import.meta.url);
let loaded: OpenCV | undefined;

/**
 * opencv4nodejs's own binary. The package's JavaScript entry is passed by: on load it prints to
 * stdout, reads the current folder's package.json and takes a second.
 *
 * @throws FlexaeError `FLEXAE_INTERNAL` with the remedy if it is not installed or not built.
 */
export function loadOpenCV(): OpenCV {
  if (loaded !== undefined) return loaded;
  let reason: string;
  try {
    const root = join(dirname(require.resolve("@u4/opencv4nodejs")), "../..");
    const path = ["Release", "Debug"]
      .map((build) => join(root, "build", build, "opencv4nodejs.node"))
      .find((candidate) => existsSync(candidate));
    if (path !== undefined) {
      loaded = require(path) as OpenCV;
      return loaded;
    }
    reason = "it is installed but not built";
  } catch (error) {
    reason = (error as Error).message.split("\n", 1)[0] as string;
  }
  throw new FlexaeError(
    "FLEXAE_INTERNAL",
    `opencv4nodejs, which writes the pictures, does not load: ${reason}\nRun \`npm run quickstart\`, or \`OPENCV4NODEJS_DISABLE_AUTOBUILD=1 npm rebuild @u4/opencv4nodejs\` with libopencv-dev installed.`,
  );
}
