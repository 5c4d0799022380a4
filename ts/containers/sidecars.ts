/**
 * What lies beside an image under the same key, as in WebDataset: `0001.jpg`, `0001.cls`,
 * `0001.json`. A key ends at the first dot of its last part.
 */
import type { MemberSink } from "./members.js";

/** A sidecar is a word or a small object. */
export const LONGEST_SIDECAR = 1 << 16;
const SIDECAR = /\.(cls|json)$/i;
/** Keys of a JSON object that name the class; the first there is counts. */
const NAMES = ["class", "class_name", "label", "category"];

const keyOf = (name: string): string => {
  const folder = name.lastIndexOf("/") + 1;
  const dot = name.indexOf(".", folder);
  return dot < 0 ? name : name.slice(0, dot);
};

export function isSidecar(name: string): boolean {
  return SIDECAR.test(name);
}

function classIn(name: string, content: Buffer): string | undefined {
  const text = content.toString("utf8").trim();
  if (!/\.json$/i.test(name)) return text === "" || text.includes("\0") ? undefined : text;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const found = NAMES.map((key) => (value as Record<string, unknown>)[key]).find(
    (label) => (typeof label === "string" && label !== "") || typeof label === "number",
  );
  return found === undefined ? undefined : String(found);
}

/** Gathers the classes that sidecars name, and gives them to the images of their keys. */
export class Sidecars {
  #classes = new Map<string, string>();
  /** Of each sidecar. */
  #keys: string[] = [];

  add(name: string, content: Buffer): void {
    const key = keyOf(name);
    this.#keys.push(key);
    const label = classIn(name, content);
    if (label === undefined || label.includes("\0")) return;
    // A word of its own counts before one of several in an object.
    if (/\.cls$/i.test(name) || !this.#classes.has(key)) this.#classes.set(key, label);
  }

  /** Those that belong to no image are members like others. */
  apply(sink: MemberSink): void {
    if (this.#keys.length === 0) return;
    const images = new Set(sink.names().map(keyOf));
    for (const key of this.#keys) if (!images.has(key)) sink.others++;
    const labels = new Map<string, string>();
    for (const name of sink.names()) {
      const label = this.#classes.get(keyOf(name));
      if (label !== undefined) labels.set(name, label);
    }
    sink.label(labels);
  }
}
