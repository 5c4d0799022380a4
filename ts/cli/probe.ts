/** Run by `flexae doctor` in a process of its own: what loading the native parts gives, as JSON. */
import { readFileSync } from "node:fs";
import { addonPath, loadAddon } from "../addon/loader.js";
import type { AddonVersions, HardwareInfo } from "../addon/types.js";
import { type BuiltFor, builtFor, loadOpenCV } from "../imaging/opencv.js";

export interface AddonProbe {
  path: string;
  /** The folder the loaded libtorch is in; null where the system does not tell. */
  libtorch: string | null;
  versions: AddonVersions;
  hardware: HardwareInfo;
}

export interface OpenCVProbe {
  version: string;
  /** Every Node for which set-up built opencv4nodejs. */
  builtFor: BuiltFor[];
}

function libtorchFolder(): string | null {
  try {
    const line = /\S*(?=\/libtorch_cpu\.so)/.exec(readFileSync("/proc/self/maps", "utf8"));
    return line?.[0] ?? null;
  } catch {
    return null;
  }
}

function probe(what: string | undefined): AddonProbe | OpenCVProbe {
  if (what === "opencv") {
    const cv = loadOpenCV();
    // That it loads is half of it.
    cv.imencode(".png", new cv.Mat(Buffer.alloc(3), 1, 1, cv.CV_8UC3));
    const { major, minor, revision } = cv.version;
    return { version: `${major}.${minor}.${revision}`, builtFor: builtFor() };
  }
  const addon = loadAddon();
  return {
    path: addonPath() ?? "",
    libtorch: libtorchFolder(),
    versions: addon.versions(),
    hardware: addon.hardware(),
  };
}

try {
  process.stdout.write(JSON.stringify({ ok: probe(process.argv[2]) }));
} catch (error) {
  process.stdout.write(JSON.stringify({ error: (error as Error).message }));
}
