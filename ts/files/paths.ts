/**
 * Paths for people and for files. The addon gives a path's bytes that are no UTF-8 as lone surrogates, U+DC80…U+DCFF, and
 * takes them back; nothing else does.
 */
import { basename, dirname, extname, join, relative, sep } from "node:path";

/** What lies beside a file, under its name with another ending: `a/b.png` beside `a/b.csv`. */
export function beside(path: string, ending: string): string {
  return join(dirname(path), basename(path, extname(path)) + ending);
}

/**
 * A file's path relative to a folder, with `/` between folders.
 *
 * @param folder - Absolute and normal, as `file` is.
 */
export function pathWithin(folder: string, file: string): string {
  const inside = folder.endsWith(sep) ? folder : folder + sep;
  // `relative` resolves both anew: of a million files that takes seconds.
  const path = file.startsWith(inside) ? file.slice(inside.length) : relative(folder, file);
  return sep === "/" ? path : path.split(sep).join("/");
}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function decoded(bytes: Uint8Array): string | null {
  try {
    return UTF8.decode(bytes);
  } catch {
    return null;
  }
}

/** A path of its bytes, as the addon gives it. */
export function pathFromBytes(bytes: Uint8Array): string {
  const whole = decoded(bytes);
  if (whole !== null) return whole;
  let text = "";
  for (let at = 0; at < bytes.length; ) {
    const sign = [1, 2, 3, 4]
      .map((length) => bytes.subarray(at, at + length))
      .find((part) => decoded(part) !== null);
    text +=
      sign === undefined ? String.fromCharCode(0xdc00 + (bytes[at] as number)) : UTF8.decode(sign);
    at += sign?.length ?? 1;
  }
  return text;
}

function escaped(byte: number): string {
  return `\\x${byte.toString(16).padStart(2, "0")}`;
}

/** A path in valid Unicode: bytes that are no UTF-8 become `\xNN`. */
export function unicodePath(path: string): string {
  return path.replace(/\p{Surrogate}/gu, (unit) => {
    const code = unit.charCodeAt(0);
    return code >= 0xdc80 && code <= 0xdcff ? escaped(code - 0xdc00) : "\ufffd";
  });
}

/** A path on one line: control characters are escaped as well, a line feed as `\n`. */
export function shownPath(path: string): string {
  return unicodePath(path).replace(/\p{Control}/gu, (control) =>
    control === "\n" ? "\\n" : [...Buffer.from(control)].map(escaped).join(""),
  );
}
