/** What a row of the table of parameters says, and the texts that follow from it. */
import { LARGEST_COUNT } from "./choices.js";

export const GROUPS = {
  model: "Model",
  training: "Training",
  data: "Data",
  output: "Output",
} as const;

export type Group = keyof typeof GROUPS;

/** How a value is written as text; see `values.ts`. `number` and `numbers` say what they hold. */
export type Kind =
  | "number"
  | "share"
  | "boolean"
  | "text"
  | "path"
  | "name"
  | "numbers"
  | "names"
  | "regularizer"
  | "constraint";

/** What a number, or every entry of a list of numbers, may be. */
export interface Bounds {
  readonly integer?: true;
  readonly least: number;
  /** No other bound than that it is finite unless given. */
  readonly most?: number;
  /** It must be more than `least`. */
  readonly above?: true;
  /** It must be less than `most`. */
  readonly below?: true;
}

/**
 * What becomes of a parameter where a run goes on:
 *
 * - `fixed`: it is what the run is, and stays;
 * - `free`: it may be given anew, and the run says so;
 * - `telling`: likewise, and from there on the numbers are not those of an uninterrupted run;
 * - `unsaid`: likewise, and nobody needs to be told;
 * - `none`: it means nothing to a run that goes on in its folder.
 */
export type ResumeRule = "fixed" | "free" | "telling" | "unsaid" | "none";

export interface Parameter {
  /** The name it has had since the Keras program, also its key in `setting.yaml`. */
  readonly name: string;
  readonly group: Group;
  readonly kind: Kind;
  readonly default: unknown;
  readonly help: string;
  /**
   * The commands to which it means something. One that came later may name it in its description
   * instead (`cli/command.ts`).
   */
  readonly commands: readonly string[];
  readonly resume: ResumeRule;
  /**
   * The object it crosses into C++ in: the network, or how that is trained. Others stay here, or
   * go along with the images.
   */
  readonly part?: "network" | "training";
  /**
   * Of the network: models were written before it was. Theirs is the default, which therefore stays
   * what it is.
   */
  readonly later?: true;
  /** It concerns one machine or one run, so models do not carry it. */
  readonly local?: true;
  /** Of a number or of each of several. */
  readonly bounds?: Bounds;
  /** The numbers allowed, each with what it means. */
  readonly among?: Readonly<Record<number, string>>;
  /** What 0 means, where that is not a number like the others. */
  readonly zero?: string;
  /** What the entries of a list of fixed length are; each crosses into C++ by itself. */
  readonly entries?: readonly string[];
  /** A list of an entry for each convolution: it follows `filters` in length. */
  readonly perLayer?: true;
  /** The most entries of a list. */
  readonly mostEntries?: number;
  /** What a text must look like, and how one says that. */
  readonly pattern?: { readonly regexp: RegExp; readonly text: string };
  /** The values allowed, for a parameter of kind `name`, `names` or `text`. */
  readonly choices?: readonly string[];
  /** Other names of those values. */
  readonly synonyms?: Readonly<Record<string, string>>;
  /** Another name, besides the spellings of `name`. */
  readonly alias?: string;
  /** Its key in JSON that C++ reads; the alias or `name` in camel case unless given. */
  readonly key?: string;
  /** The word standing for the value in `--help`, where the kind's own does not fit. */
  readonly placeholder?: string;
  /** Shown in place of the default where that is computed. */
  readonly defaultText?: string;
}

/** `a, b or c`. */
function alternatives(words: readonly string[]): string {
  const last = words.at(-1) as string;
  return words.length === 1 ? last : `${words.slice(0, -1).join(", ")} or ${last}`;
}

function boundsText({ least, most = Infinity, above, below }: Bounds, zero?: string): string {
  if (most === Infinity || most === LARGEST_COUNT) {
    const from = above ? `above ${least}` : `of at least ${least}`;
    return zero === undefined ? from : `${from} (0: ${zero})`;
  }
  if (above || below) {
    return `${above ? "above" : "of at least"} ${least} and ${below ? "below" : "at most"} ${most}`;
  }
  return `from ${least}${zero === undefined ? "" : ` (${zero})`} to ${most}`;
}

function numberText({ among, bounds, zero }: Parameter): string {
  if (among !== undefined) {
    return alternatives(Object.entries(among).map(([value, meaning]) => `${value} (${meaning})`));
  }
  const { integer } = bounds as Bounds;
  return `${integer ? "an integer" : "a number"} ${boundsText(bounds as Bounds, zero)}`;
}

function numbersText({ bounds, entries, mostEntries }: Parameter): string {
  const each = `integers ${boundsText(bounds as Bounds)}`;
  if (entries !== undefined) return `two ${each} (${entries.join(", ")})`;
  return mostEntries === undefined ? `a list of ${each}` : `a list of 1 to ${mostEntries} ${each}`;
}

/** Completes "Expected …" in an error: what the row allows, in words. */
export function expectedText(parameter: Parameter): string {
  const { kind, choices, pattern } = parameter;
  switch (kind) {
    case "number":
      return numberText(parameter);
    case "numbers":
      return numbersText(parameter);
    case "share":
      return "a share from 0 to 1, or from 0% to 100%";
    case "boolean":
      return "true or false";
    case "path":
      return "the path of a folder";
    case "names":
      return `a list of ${alternatives(choices as readonly string[])}`;
    case "name":
    case "text":
      if (pattern !== undefined) return pattern.text;
      return (choices as readonly string[]).length > 3
        ? `one of ${(choices as readonly string[]).join(", ")}`
        : alternatives(choices as readonly string[]);
    case "regularizer":
      return "none, l1, l2 or l1_l2, with factors of at least 0 if any, such as l2(0.001)";
    case "constraint":
      return "none, non_neg, unit_norm, max_norm(max) or min_max_norm(min,max,rate) with 0 ≤ min ≤ max";
  }
}

const PLACEHOLDERS: Record<Kind, string> = {
  number: "x",
  share: "share",
  boolean: "bool",
  text: "name",
  path: "dir",
  name: "name",
  numbers: "n,n,…",
  names: "name,…",
  regularizer: "l1|l2|l1_l2",
  constraint: "name",
};

/** The word standing for the value in `--help`. */
export function placeholder({ kind, placeholder, bounds, among }: Parameter): string {
  if (placeholder !== undefined) return placeholder;
  if (among !== undefined) return Object.keys(among).join("|");
  return kind === "number" && bounds?.integer ? "n" : PLACEHOLDERS[kind];
}

/** The default as one would write it after the flag. */
export function defaultText(parameter: Parameter): string {
  const { kind, defaultText, zero } = parameter;
  if (defaultText !== undefined) return defaultText;
  if (zero !== undefined && parameter.default === 0) return zero;
  if (kind === "regularizer" || kind === "constraint") return "none";
  if (kind === "share") return `${100 * (parameter.default as number)}%`;
  return Array.isArray(parameter.default) ? parameter.default.join(",") : String(parameter.default);
}
