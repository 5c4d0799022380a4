// The npm packages that the program loads when it runs, as the lockfile has them.

import { existsSync, readFileSync } from "node:fs";
import path from "node:path";

/** Dependencies that compile the addon, of which the compiled program loads nothing. */
const BUILD_ONLY = new Set(["cmake-js", "node-addon-api", "node-api-headers"]);

/** Where Node would find a package that `from`, an entry of the lockfile, asks for. */
function lookUp(packages, from, name) {
  const nested = from.split(/(?:^|\/)node_modules\//).slice(1);
  for (let depth = nested.length; depth >= 0; depth--) {
    const names = [...nested.slice(0, depth), name];
    const place = names.map((part) => `node_modules/${part}`).join("/");
    if (packages[place]) return place;
  }
  return null;
}

/** The folders of the packages, relative to `folder`, that running the program takes. */
export function runtimePackages(folder) {
  const { packages } = JSON.parse(readFileSync(path.join(folder, "package-lock.json"), "utf8"));
  const found = new Set();
  const visit = (from, names) => {
    for (const name of names) {
      const place = lookUp(packages, from, name);
      if (place === null || found.has(place) || !existsSync(path.join(folder, place))) continue;
      found.add(place);
      visit(place, Object.keys(packages[place].dependencies ?? {}));
    }
  };
  const direct = Object.keys(packages[""].dependencies).filter((name) => !BUILD_ONLY.has(name));
  visit("", direct);
  return [...found].sort();
}
