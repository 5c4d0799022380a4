// What files are made from: their contents, by name, and their times.

import { readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";

/** Newest modification time of the files below some paths, in milliseconds; 0 if there are none. */
export function newest(...paths) {
  let latest = 0;
  for (const item of paths) {
    const info = statSync(item, { throwIfNoEntry: false });
    if (!info) continue;
    if (info.isDirectory()) {
      latest = Math.max(
        latest,
        info.mtimeMs,
        newest(...readdirSync(item).map((name) => path.join(item, name))),
      );
    } else {
      latest = Math.max(latest, info.mtimeMs);
    }
  }
  return latest;
}

/** Files below `folder`/`name`, or that file itself, by names relative to `folder`, in order. */
function below(folder, name) {
  const info = statSync(path.join(folder, name), { throwIfNoEntry: false });
  if (!info) return [];
  if (!info.isDirectory()) return [name];
  const entries = readdirSync(path.join(folder, name)).sort();
  return entries.flatMap((entry) => below(folder, path.join(name, entry)));
}

/** Names and contents of the files below some paths of `folder` whose names fit `pattern`. */
export function contents(folder, names, pattern = /./) {
  return names
    .flatMap((name) => below(folder, name))
    .filter((name) => pattern.test(name))
    .flatMap((name) => [name, readFileSync(path.join(folder, name))]);
}
