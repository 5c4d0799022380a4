// Where the headers of the running Node are, which opencv4nodejs is compiled with.

import { existsSync, readFileSync, realpathSync } from "node:fs";
import path from "node:path";

/** The ABI (NODE_MODULE_VERSION) of the headers in `prefix`/include/node; null without any. */
export function headersAbi(prefix) {
  const folder = path.join(prefix, "include", "node");
  if (!existsSync(path.join(folder, "common.gypi"))) return null;
  try {
    const text = readFileSync(path.join(folder, "node_version.h"), "utf8");
    return /#define NODE_MODULE_VERSION (\d+)/.exec(text)?.[1] ?? null;
  } catch {
    return null;
  }
}

/**
 * The prefix under which the headers of the running Node lie: beside its program, or where npm is
 * told that they are (`nodedir`), if they are its own. Null if node-gyp has to fetch them.
 */
export function nodeHeaders(env = process.env, program = process.execPath) {
  const prefixes = [program, realpathSync(program)].map((file) => path.dirname(path.dirname(file)));
  const candidates = [
    ...prefixes,
    // The npm package `node` has its headers a folder further down.
    ...prefixes.map((prefix) =>
      path.join(prefix, "node_modules", `node-${process.platform}-${process.arch}`),
    ),
    ...(env.npm_config_nodedir ? [path.resolve(env.npm_config_nodedir)] : []),
  ];
  return candidates.find((prefix) => headersAbi(prefix) === process.versions.modules) ?? null;
}
