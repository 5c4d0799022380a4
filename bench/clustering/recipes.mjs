// What each set is trained and clustered with. The comments in the config files say the same.

import { fileURLToPath } from "node:url";

const example = (name) => fileURLToPath(new URL(`../../examples/${name}`, import.meta.url));

/** Classes are not used but for their number. */
const CLUSTERS = 10;

/** @type {{ digits: Recipe, fashion: Recipe }} */
export const RECIPES = {
  digits: { ...recipe("digits.yaml"), direct: example("digits_kmeans.yaml") },
  fashion: { ...recipe("fashion.yaml"), covariance: "tied" },
};

/**
 * @typedef {{
 *   config: string, neighbors: number, dims: number, minDist: number,
 *   clusters: number, covariance: string, restarts: number,
 *   direct?: string
 * }} Recipe `direct` is a config for k-means on embeddings that no map was made of
 */
function recipe(config) {
  return {
    config: example(config),
    neighbors: 20,
    dims: 10,
    minDist: 0,
    clusters: CLUSTERS,
    covariance: "full",
    restarts: 4,
  };
}
