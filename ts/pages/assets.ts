/** The front end, as the build left it. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { FlexaeError } from "../addon/errors.js";
import { packageRoot } from "../addon/root.js";

/** What a page of `web/` was bundled to. */
export interface Assets {
  script: string;
  style: string;
}

/**
 * The script and the style of a page.
 *
 * @param page - The name of its folder in `web/`.
 * @throws FlexaeError `FLEXAE_INTERNAL` with the remedy if they are not there.
 */
export async function readAssets(page: string): Promise<Assets> {
  const folder = join(packageRoot, "dist", "web");
  try {
    const [script, style] = await Promise.all(
      ["js", "css"].map((ending) => readFile(join(folder, `${page}.${ending}`), "utf8")),
    );
    return { script: script as string, style: style as string };
  } catch (error) {
    throw new FlexaeError(
      "FLEXAE_INTERNAL",
      `The pages in ${folder} cannot be read: install the package again, or in a clone run \`npm run build:ts\``,
      { cause: error },
    );
  }
}
