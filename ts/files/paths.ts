/**
 * Paths for people and for files. The addon gives a path's bytes that are no UTF-8 as lone surrogates, U+DC80…U+DCFF, and
 * takes them back; nothing else does.
 */
import { basename, dirname, extname, join } from "node:path";

/** What lies beside a file, under its name with another ending: `a/b.png` beside `a/b.csv`. */
export function beside(path: string, ending: string): string {
  return join(dirname(path), basename(path, extname(path)) + ending);
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
