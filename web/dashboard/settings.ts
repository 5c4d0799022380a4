/** How the settings of runs differ. */
import type { LiveRun } from "../../ts/dashboard/wire.ts";

/** Differs in any two runs, and means nothing to what comes of them. */
const OWN = "save_dir";

/** Settings that are not alike in all runs that have any. */
export function differingSettings(runs: readonly LiveRun[]): string[] {
  const first = new Map<string, string>();
  const differing = new Set<string>();
  for (const { settings } of runs) {
    for (const name in settings) {
      const value = settings[name] as string;
      const known = first.get(name);
      if (known === undefined) first.set(name, value);
      else if (known !== value) differing.add(name);
    }
  }
  differing.delete(OWN);
  return [...first.keys()].filter((name) => differing.has(name));
}

/** What each setting is in more than half of the runs that have it. */
export function usualSettings(runs: readonly LiveRun[]): Map<string, string> {
  const counts = new Map<string, Map<string, number>>();
  for (const { settings } of runs) {
    for (const name in settings) {
      const value = settings[name] as string;
      let counted = counts.get(name);
      if (counted === undefined) {
        counted = new Map();
        counts.set(name, counted);
      }
      counted.set(value, (counted.get(value) ?? 0) + 1);
    }
  }
  const usual = new Map<string, string>();
  for (const [name, counted] of counts) {
    const all = [...counted.values()].reduce((sum, count) => sum + count, 0);
    for (const [value, count] of counted) if (2 * count > all) usual.set(name, value);
  }
  usual.delete(OWN);
  return usual;
}
