// What compiled files need: other libraries, and a C library of some version.

import { existsSync, realpathSync } from "node:fs";
import path from "node:path";
import { output } from "../setup/run.mjs";
import { SetupError } from "../setup/steps.mjs";

function read(file, ...options) {
  const text = output("readelf", ["--wide", ...options, file]);
  if (text === null) throw new SetupError(`${file} is no program or library that readelf reads.`);
  return text;
}

/** The names of the libraries that a file asks for. */
export function needed(file) {
  return [...read(file, "--dynamic").matchAll(/\(NEEDED\).*\[(.+)\]/g)].map(([, name]) => name);
}

/** The x of the newest glibc 2.x that a file asks for; 0 if it asks for none. */
export function glibcNeeded(file) {
  const text = read(file, "--version-info");
  const needs = text.slice(Math.max(0, text.indexOf("Version needs section")));
  if (needs === text && !text.startsWith("Version needs")) return 0;
  const minors = [...needs.matchAll(/\bGLIBC_2\.(\d+)/g)].map(([, minor]) => Number(minor));
  return Math.max(0, ...minors);
}

/** Where the loader of this system finds the libraries that `file` asks for, by name. */
function located(file, folders) {
  const env = { ...process.env, LD_LIBRARY_PATH: folders.join(path.delimiter) };
  const text = output("ldd", [file], { env }) ?? "";
  return new Map(
    [...text.matchAll(/^\s*(\S+) => (\/.+) \(0x/gm)].map(([, name, found]) => [name, found]),
  );
}

/** The libraries of glibc, which go together with its loader and lie in one folder. */
const GLIBC =
  /^(ld-linux.*|lib(c|m|mvec|pthread|dl|rt|util|resolv|anl|nss_dns|nss_files))\.so\.\d+$/;

export const isGlibc = (name) => GLIBC.test(name);

/**
 * All libraries that some files load, by name, without those of glibc.
 * @param {string[]} files
 * @param {string[]} elsewhere folders whose libraries are found at run time, and not followed
 * @returns {Map<string, string>} the file of each library, links followed
 */
export function closure(files, elsewhere = []) {
  const found = new Map();
  const visit = (file, places) => {
    for (const name of needed(file)) {
      if (found.has(name) || isGlibc(name)) continue;
      if (elsewhere.some((folder) => existsSync(path.join(folder, name)))) continue;
      const place = places.get(name);
      if (place === undefined) throw new SetupError(`${file} needs ${name}, which is not here.`);
      found.set(name, realpathSync(place));
      visit(place, places);
    }
  };
  for (const file of files) visit(file, located(file, elsewhere));
  return found;
}
