/**
 * Reads YAML, and so JSON, that may come from a stranger: in time that grows with its length, and in bounded memory,
 * whatever it holds. Tags that name types or functions of some program are ignored.
 */
import { closeSync, openSync, readSync } from "node:fs";
import {
  Composer,
  type CST,
  type Document,
  isScalar,
  Lexer,
  LineCounter,
  Parser,
  visit,
} from "yaml";
import { configError, systemReason } from "../addon/errors.js";
import { shownPath } from "../files/paths.js";
import { showName } from "./names.js";

/** No sensible config file is larger; a wrong path may name anything. */
const LARGEST_FILE = 1 << 20;

/** The parser's own recursion would exhaust the stack some hundreds deep, and the process may not survive that. */
const DEEPEST = 100;

/** Each of many aliases takes time by the length of the document. */
const MOST_ALIASES = 100;

/** Enough for the record of a run of 30,000 classes; every one of them takes memory, and more if it is wrong. */
const MOST_TOKENS = 200_000;

/** What is wrong with a text. */
class Fault extends Error {
  /** From 1; 0 where no line is to blame. */
  readonly line: number;

  constructor(message: string, line = 0) {
    super(message);
    this.line = line;
  }
}

function* tokens(text: string, lines: LineCounter): Generator<CST.Token> {
  lines.addNewLine(0);
  const parser = new Parser(lines.addNewLine);
  let count = 0;
  for (const lexeme of new Lexer().lex(text)) {
    yield* parser.next(lexeme);
    const tooDeep = parser.stack.length > DEEPEST;
    if (tooDeep || ++count > MOST_TOKENS) {
      const reason = tooDeep ? "it is nested too deeply" : "it holds too much";
      throw new Fault(reason, lines.linePos(parser.offset).line);
    }
  }
  yield* parser.end();
}

/** The only document of `text`; null if it is empty. */
function composeOne(text: string, lines: LineCounter): Document.Parsed | null {
  let only: Document.Parsed | null = null;
  // Its own check of keys takes time by the square of their number.
  const composer = new Composer({ uniqueKeys: false, logLevel: "error" });
  for (const document of composer.compose(tokens(text, lines), true, text.length)) {
    const [fault] = document.errors;
    if (fault !== undefined) throw new Fault(fault.message, lines.linePos(fault.pos[0]).line);
    if (only !== null) {
      throw new Fault("it holds several documents", lines.linePos(document.range[0]).line);
    }
    only = document;
  }
  return only;
}

function parseText(text: string): unknown {
  const lines = new LineCounter();
  const document = composeOne(text, lines);
  if (document === null) return null;
  let aliases = 0;
  visit(document, {
    Alias() {
      if (++aliases > MOST_ALIASES) throw new Fault(`it has more than ${MOST_ALIASES} aliases`);
    },
    Map(_, { items }) {
      const keys = new Set<unknown>();
      for (const { key } of items) {
        if (!isScalar(key)) continue;
        if (keys.has(key.value)) {
          const line = key.range ? lines.linePos(key.range[0]).line : 0;
          throw new Fault(`${showName(String(key.value))} stands there twice`, line);
        }
        keys.add(key.value);
      }
    },
  });
  return document.toJS({ maxAliasCount: MOST_ALIASES });
}

/** The whole file, but no more than is looked at: a path may name a device that never ends. */
function readText(path: string): string {
  const bytes = Buffer.allocUnsafe(LARGEST_FILE + 1);
  let length = 0;
  const file = openSync(path, "r");
  try {
    while (length < bytes.length) {
      const read = readSync(file, bytes, length, bytes.length - length, null);
      if (read === 0) break;
      length += read;
    }
  } finally {
    closeSync(file);
  }
  if (length > LARGEST_FILE) throw new Fault("too large");
  return bytes.toString("utf8", 0, length);
}

/**
 * The value in a YAML or JSON file; null if that is empty.
 *
 * @param what - Names the file in a message, before its path.
 * @throws FlexaeError `FLEXAE_CONFIG` in one line.
 */
export function readYamlFile(path: string, what: string): unknown {
  const shown = `${what} ${shownPath(path)}`;
  let text: string;
  try {
    text = readText(path);
  } catch (error) {
    if (error instanceof Fault) {
      throw configError(`${shown} is too large (over 1 MiB): is it the right file?`);
    }
    throw configError(`${shown} cannot be read: ${showName(systemReason(error), 200)}`, error);
  }
  try {
    return parseText(text);
  } catch (error) {
    const { message } = error as Error;
    const line = error instanceof Fault && error.line > 0 ? `, line ${error.line}` : "";
    throw configError(`${shown} is not YAML or JSON${line}: ${showName(message, 200)}`, error);
  }
}
