/** How many trials are trained at once, and what each may use. */
import { availableParallelism } from "node:os";
import { callAddon } from "../addon/loader.js";
import type { HardwareInfo } from "../addon/types.js";
import type { Settings } from "../config/resolve.js";

/** What a trial is trained with. */
export interface Slot {
  /** Compute threads. */
  threads: number;
  /** The GPU it sees, as CUDA_VISIBLE_DEVICES names it; null: whatever there is. */
  gpu: string | null;
}

/** What there is. */
export interface Resources {
  cores: number;
  /** GPUs that can be used, as CUDA_VISIBLE_DEVICES names them. */
  gpus: readonly string[];
  /** Bytes. */
  memory: number;
}

/** More at once unless asked for gain nothing on one disk. */
const MOST_JOBS = 8;
/** Bytes of a process with libtorch that has not begun. */
const PROCESS_BYTES = 400e6;
/** Of the memory that is free. */
const SHARE = 0.7;

/** GPUs of this machine. */
function gpusOf({ cuda }: HardwareInfo, visible: string | undefined): string[] {
  if (cuda.problem !== "") return [];
  const names = visible?.split(",").map((name) => name.trim());
  // Where only some are to be seen, theirs are the numbers.
  return cuda.devices.map(({ index }) => names?.[index] ?? String(index));
}

/** What this machine has. */
export function machineResources(): Resources {
  const hardware = callAddon((addon) => addon.hardware());
  return {
    cores: availableParallelism(),
    gpus: gpusOf(hardware, process.env.CUDA_VISIBLE_DEVICES),
    memory: process.availableMemory(),
  };
}

/**
 * Shares a machine out.
 *
 * @param settings - Of any trial: `device` and `threads` are the same for all.
 * @param jobs - How many at once; unless given, one a GPU, or as many as cores and memory allow.
 * @param trials - How many there are.
 */
export function shareOut(
  { cores, gpus, memory }: Resources,
  { device, threads }: Pick<Settings, "device" | "threads">,
  trainingBytes: number,
  trials: number,
  jobs?: number,
): Slot[] {
  // Of several GPUs each trial sees one. It need not know which, and may go on with another.
  const handedOut = device === "cuda" || device === "auto" ? gpus : [];
  const isOnGpu = device.startsWith("cuda") || handedOut.length > 0;
  const byMemory = Math.floor((SHARE * memory) / (trainingBytes + PROCESS_BYTES));
  const usual = isOnGpu
    ? Math.max(1, handedOut.length)
    : Math.min(MOST_JOBS, byMemory, Math.floor(cores / Math.max(1, threads)));
  const count = Math.max(1, Math.min(jobs ?? usual, trials));
  const share = threads > 0 ? threads : Math.max(1, Math.floor(cores / count));
  return Array.from({ length: count }, (_, i) => ({
    threads: share,
    gpu: handedOut.length === 0 ? null : (handedOut[i % handedOut.length] as string),
  }));
}
