import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** The package's root, from `ts/addon` and from `dist/addon` alike. */
export const packageRoot = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
