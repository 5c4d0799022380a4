/** What must be the same in all processes of a training. */
import { stat } from "node:fs/promises";
import { relative } from "node:path";
import { PARAMETERS } from "../config/parameters.js";
import { showValue } from "../config/values.js";
import type { ImageSet } from "../dataset/image_set.js";
import { digest } from "../processes/group.js";
import type { Plan } from "./plan.js";

/** The sizes of so many files of a set are looked at, from all over it. */
const LOOKED_AT = 2000;

/** Settings of the training that each machine may have its own of. */
const OWN: ReadonlySet<string> = new Set(["device", "threads"]);

async function factOf({ source, root, images }: ImageSet): Promise<string> {
  if ("images" in source) return `${images} images (${digest([source.images])})`;
  const { files } = source;
  const parts = files.map((file) => relative(root, file));
  const step = Math.max(1, Math.ceil(files.length / LOOKED_AT));
  for (let i = 0; i < files.length; i += step) {
    const found = await stat(files[i] as string).catch(() => undefined);
    parts.push(String(found?.size ?? "missing"));
  }
  return `${images} images (${digest(parts)})`;
}

/** By what a person calls them: the settings that decide on numbers, and the images. */
export async function sharedFacts({
  settings,
  train,
  valid,
}: Plan): Promise<Record<string, string>> {
  const facts: Record<string, string> = {};
  for (const { name, part } of PARAMETERS) {
    if (part === undefined || OWN.has(name)) continue;
    facts[name] = showValue(settings[name as keyof typeof settings]);
  }
  facts["set of training images"] = await factOf(train);
  facts["set of validation images"] = await factOf(valid);
  return facts;
}
