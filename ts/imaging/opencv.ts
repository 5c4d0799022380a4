/** The few calls of opencv4nodejs that pictures need, loaded on first use. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { FlexaeError } from "../addon/errors.js";
import { packageRoot } from "../addon/root.js";
import { IS_BUNDLE, REPAIR, SETUP_COMMAND } from "../addon/setup.js";

export interface Mat {
  readonly rows: number;
  readonly cols: number;
  resize(rows: number, cols: number, fx: number, fy: number, interpolation: number): Mat;
  copyTo(target: Mat): Mat;
  getRegion(rect: unknown): Mat;
  putText(
    text: string,
    origin: unknown,
    font: number,
    scale: number,
    color: unknown,
    thickness: number,
    lineType: number,
  ): void;
  drawLine(from: unknown, to: unknown, color: unknown, thickness: number, lineType: number): void;
}

export interface OpenCV {
  readonly version: { major: number; minor: number; revision: number };
  readonly Mat: {
    new (data: Buffer, rows: number, cols: number, type: number): Mat;
  };
  readonly Rect: new (x: number, y: number, width: number, height: number) => unknown;
  readonly Point2: new (x: number, y: number) => unknown;
  readonly Vec3: new (blue: number, green: number, red: number) => unknown;
  readonly CV_8UC1: number;
  readonly CV_8UC3: number;
  readonly INTER_AREA: number;
  readonly INTER_NEAREST: number;
  readonly FONT_HERSHEY_SIMPLEX: number;
  /** Of lines and of letters: with smooth edges. */
  readonly LINE_AA: number;
  getTextSize(
    text: string,
    font: number,
    scale: number,
    thickness: number,
  ): { size: { width: number; height: number } };
  readonly IMWRITE_JPEG_QUALITY: number;
  readonly IMWRITE_PNG_COMPRESSION: number;
  /** `parameters` are pairs of what is set, such as `IMWRITE_JPEG_QUALITY`, and its value. */
  imencode(extension: string, image: Mat, parameters?: readonly number[]): Buffer;
}

const require = createRequire(import.meta.url);
let loaded: OpenCV | undefined;

/** Where set-up puts a binary for each Node that ran it, by Node's ABI. */
const BUILDS = join(packageRoot, "opencv", "build");

/** The Node that a binary was built for, as set-up noted it beside it. */
export interface BuiltFor {
  node: string;
  abi: string;
}

/** The Nodes for which set-up built opencv4nodejs. */
export function builtFor(): BuiltFor[] {
  if (!existsSync(BUILDS)) return [];
  return readdirSync(BUILDS).flatMap((name) => {
    const abi = /^abi-(\d+)$/.exec(name)?.[1];
    if (abi === undefined) return [];
    try {
      const note = JSON.parse(readFileSync(join(BUILDS, name, "built.json"), "utf8"));
      return [{ node: String(note.node), abi }];
    } catch {
      // Never finished.
      return [];
    }
  });
}

function missingReason(): string {
  const others = builtFor().map(({ node, abi }) => `Node ${node} (ABI ${abi})`);
  if (others.length === 0) return "it is not built yet";
  const { node, modules } = process.versions;
  return `it was built for ${others.join(" and ")}, and this is Node ${node} (ABI ${modules})`;
}

/**
 * opencv4nodejs's own binary, which set-up compiled for this Node. The package's JavaScript entry
 * is passed by: on load it prints to stdout, reads the current folder's package.json and takes a
 * second.
 *
 * @throws FlexaeError `FLEXAE_INTERNAL` with the remedy if it is not built for this Node or does
 *   not load.
 */
export function loadOpenCV(): OpenCV {
  if (loaded !== undefined) return loaded;
  const path = join(BUILDS, `abi-${process.versions.modules}`, "opencv4nodejs.node");
  let reason: string;
  if (existsSync(path)) {
    try {
      loaded = require(path) as OpenCV;
      return loaded;
    } catch (error) {
      reason = (error as Error).message.split("\n", 1)[0] as string;
    }
  } else {
    reason = missingReason();
  }
  const remedy = IS_BUNDLE
    ? `${REPAIR}.`
    : `Run \`${SETUP_COMMAND}\` with this Node, which builds it.`;
  throw new FlexaeError(
    "FLEXAE_INTERNAL",
    `opencv4nodejs, which draws the pictures, does not load: ${reason}\n${remedy}`,
  );
}
