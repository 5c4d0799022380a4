// The licences of what is carried along: Debian's copyright files, Node's, the npm packages'.

import { copyFileSync, existsSync, mkdirSync, readdirSync, realpathSync } from "node:fs";
import path from "node:path";
import { output } from "../setup/run.mjs";

/** The Debian package that a file came with; null where none did. */
function packageOf(file) {
  // Where /lib is a link to /usr/lib, dpkg knows files by the one name or the other.
  for (const name of [file, file.replace(/^\/usr\//, "/"), `/usr${file}`]) {
    const said = output("dpkg-query", ["--search", name]);
    if (said !== null) return said.split(":", 1)[0];
  }
  return null;
}

/** Node's own licence, which lists those of all that is compiled into it. */
function nodeLicence(program) {
  const candidates = [
    path.resolve(path.dirname(program), "..", "LICENSE"),
    path.resolve(path.dirname(program), "..", "share", "doc", "nodejs", "LICENSE"),
    path.resolve(path.dirname(program), "..", "share", "doc", "node", "LICENSE"),
  ];
  return candidates.find((file) => existsSync(file)) ?? null;
}

/** The licence that lies in the folder of an npm package; null without one. */
function licenceIn(folder) {
  const name = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  return name === undefined ? null : path.join(folder, name);
}

/**
 * Copies the licences to a folder.
 * @param {string} target
 * @param {{ program: string, libraries: string[], npm: Record<string, string> }} what Node, the
 *   libraries from this system, and folders of npm packages by name
 * @returns {string[]} what no licence was found for
 */
export function copyLicences(target, { program, libraries, npm }) {
  mkdirSync(target, { recursive: true });
  const lacking = [];
  const copy = (file, name) => {
    if (file === null || !existsSync(file)) return void lacking.push(name);
    copyFileSync(file, path.join(target, `${name.replaceAll("/", "-")}.txt`));
  };
  copy(nodeLicence(realpathSync(program)), "node");
  for (const [name, folder] of Object.entries(npm)) copy(licenceIn(folder), name);
  const packages = new Map(libraries.map((file) => [packageOf(file) ?? file, file]));
  for (const name of packages.keys()) {
    if (path.isAbsolute(name)) lacking.push(name);
    else copy(path.join("/usr/share/doc", name, "copyright"), name);
  }
  return lacking;
}
