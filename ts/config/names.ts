import { shownPath } from "../files/paths.js";

/** No name that is meant is longer. */
const LONGEST = 64;

/**
 * The form two spellings of one parameter share: `train_epochs`, `train-epochs` and `trainEpochs`
 * are the same name.
 */
export function nameKey(name: string): string {
  return name.replace(/[-_]/g, "").toLowerCase();
}

/** `imageShape` → `image-shape`, `AutoencoderMLP_switch` → `autoencoder-mlp-switch`. */
export function kebabCase(name: string): string {
  return name
    .replace(/([a-z0-9])([A-Z])/g, "$1-$2")
    .replace(/([A-Z])([A-Z][a-z])/g, "$1-$2")
    .replace(/_/g, "-")
    .toLowerCase();
}

/** `kernel_size` → `kernelSize`. */
export function camelCase(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** `GlorotUniform` → `glorot_uniform`, `leaky-relu` → `leaky_relu`. */
export function snakeCase(name: string): string {
  return kebabCase(name).replace(/-/g, "_");
}

/** Optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours. */
export function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min(
        (previous[j] as number) + 1,
        (current[j - 1] as number) + 1,
        (previous[j - 1] as number) + cost,
      );
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        best = Math.min(best, (before[j - 2] as number) + 1);
      }
      current.push(best);
    }
    before = previous;
    previous = current;
  }
  return previous[b.length] as number;
}

/** A name as it is shown in a message: short, and on one line, whatever was written. */
export function showName(name: string, longest = LONGEST): string {
  const shown = shownPath(name.slice(0, longest + 1));
  return shown.length > longest ? `${shown.slice(0, longest - 1)}…` : shown;
}

/** The candidate nearest to `word` whatever its case and separators, or undefined when none is near. */
export function nearestName(word: string, candidates: Iterable<string>): string | undefined {
  const key = nameKey(word);
  if (key.length > LONGEST) return undefined;
  let nearest: string | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const other = nameKey(candidate);
    let distance = editDistance(key, other);
    // A cut-off name ("epochs" for "train_epochs") is near although many letters are missing.
    if (key.length >= 3 && other.includes(key)) distance = Math.min(distance, 2);
    if (distance < least) {
      least = distance;
      nearest = candidate;
    }
  }
  return least <= Math.max(2, Math.floor(key.length / 3)) ? nearest : undefined;
}
