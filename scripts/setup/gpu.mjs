// Whether this machine has an NVIDIA GPU that a CUDA libtorch could use.

import { existsSync } from "node:fs";
import { output } from "./run.mjs";

/** `FLEXAE_CUDA` (1 or 0) decides when set; else the driver is looked for. */
export function hasGpu(env = process.env) {
  if (env.FLEXAE_CUDA) return env.FLEXAE_CUDA !== "0";
  if (existsSync("/proc/driver/nvidia/version")) return true;
  return (output("nvidia-smi", ["-L"]) ?? "").includes("GPU ");
}
