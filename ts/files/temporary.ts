/** Names under which files and folders are written before they take their own. */
import { createHash, randomBytes } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { readdir, rm, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";

/** Left by a process of which nothing is known: it is not at work any more after so long. */
const DEAD_AFTER_MS = 24 * 3600 * 1000;

/** Where process numbers mean what they mean here: one start of a machine, one namespace. */
function readPlace(): string {
  const parts: string[] = [];
  try {
    parts.push(readFileSync("/proc/sys/kernel/random/boot_id", "latin1"));
    parts.push(readlinkSync("/proc/self/ns/pid"));
  } catch {
    // Without them no other process is taken for dead but by its age.
    parts.push(randomBytes(8).toString("hex"));
  }
  return createHash("sha256").update(parts.join("\n")).digest("hex").slice(0, 8);
}

const PLACE = readPlace();

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

async function isLeft(file: string, place: string, pid: number): Promise<boolean> {
  if (place === PLACE) return !isRunning(pid);
  const { mtimeMs } = await stat(file);
  return Date.now() - mtimeMs > DEAD_AFTER_MS;
}

/** Removes what killed processes left of a target. */
async function removeLeft(target: string): Promise<void> {
  const folder = dirname(target);
  const prefix = `.${basename(target)}.`;
  try {
    for (const name of await readdir(folder)) {
      if (!name.startsWith(prefix)) continue;
      const parts = /^([0-9a-f]{8})[0-9a-f]{8}-(\d+)\.tmp$/.exec(name.slice(prefix.length));
      if (parts === null) continue;
      const file = join(folder, name);
      if (await isLeft(file, parts[1] as string, Number(parts[2]))) {
        await rm(file, { recursive: true, force: true });
      }
    }
  } catch {
    // Whoever writes there meets what is wrong.
  }
}

/** Targets that were looked after in this process. */
const seen = new Set<string>();

/**
 * A name beside the target that nothing has, for what is to become it. What processes that were
 * killed have left under such names is removed.
 */
export async function temporaryPath(target: string): Promise<string> {
  const path = resolve(target);
  if (!seen.has(path)) {
    seen.add(path);
    await removeLeft(path);
  }
  const name = `.${basename(target)}.${PLACE}${randomBytes(4).toString("hex")}-${process.pid}.tmp`;
  return join(dirname(target), name);
}
