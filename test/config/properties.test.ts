/**
 * Properties of the settings' readers, on random input. A failure prints its seed and path; to repeat it, give them to
 * that `fc.assert` as `{ seed, path }`.
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, afterEach, describe, expect, it, vi } from "vitest";
import { stringify } from "yaml";
import { FlexaeError } from "../../ts/addon/errors.ts";
import { splitArguments } from "../../ts/cli/argv.ts";
import { runProgram } from "../../ts/cli/program.ts";
import { readConfigFile } from "../../ts/config/file.ts";
import { kebabCase } from "../../ts/config/names.ts";
import {
  ACTIVATIONS,
  CACHES,
  findParameter,
  INITIALIZERS,
  INTERPOLATIONS,
  OPTIMIZERS,
  PARAMETERS,
  type ParameterName,
  POOLINGS,
} from "../../ts/config/parameters.ts";
import {
  type GivenSettings,
  plainSettings,
  resolveSettings,
  type Settings,
} from "../../ts/config/resolve.ts";
import { constraintText, regularizerText } from "../../ts/config/values.ts";
import { main, root, start } from "../support/cli.ts";
import { LONG_FORM } from "../support/random.ts";

/** FLEXAE_LONG=1 tries twenty times as many. */
const runs = (count: number) => ({
  numRuns: LONG_FORM ? 20 * count : count,
});

const folder = mkdtempSync(join(tmpdir(), "flexae-properties-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const configFile = join(folder, "config.yaml");

function asGiven(values: Record<string, unknown>): GivenSettings {
  return { values, spell: (name) => name };
}

function fromText(text: string | Uint8Array): Settings {
  writeFileSync(configFile, text);
  return resolveSettings([readConfigFile(configFile)]);
}

function fromArguments(argv: readonly string[]): { settings: Settings; rest: string[] } {
  const { flags, rest } = splitArguments(argv);
  const values = Object.fromEntries([...flags].map(([name, { value }]) => [name, value]));
  return { settings: resolveSettings([asGiven(values)]), rest };
}

// --- valid settings ---------------------------------------------------------------------------------------------

const LARGEST = 2 ** 31 - 1;
const upTo = (max: number) =>
  fc.oneof(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 1, max }));
const count = upTo(LARGEST);
const list = (max: number) => fc.array(upTo(max), { minLength: 1, maxLength: 6 });
const widths = list(2 ** 20);
const windows = list(255);
const side = fc.integer({ min: 8, max: 65536 });
const share = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const positive = fc.double({ min: 0, minExcluded: true, max: 1e300, noNaN: true });
const factor = fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1e300, noNaN: true }));
const regularizer = fc.record({ l1: factor, l2: factor });
const constraint = fc.oneof(
  fc.constantFrom({ name: "none" }, { name: "non_neg" }, { name: "unit_norm" }),
  fc.record({ name: fc.constant("max_norm"), maxValue: positive }),
  fc
    .tuple(factor, positive, share)
    .filter(([minValue, maxValue]) => minValue <= maxValue)
    .map(([minValue, maxValue, rate]) => ({ name: "min_max_norm", minValue, maxValue, rate })),
);
const name = (choices: readonly string[]) => fc.constantFrom(...choices);

/** Words that YAML or the reader of flags could take for something else. */
const AWKWARD = [
  "null",
  "~",
  "true",
  "no",
  "1e5",
  "0x1f",
  ".inf",
  " leading",
  "trailing ",
  "two\nlines\n",
  "\ttab",
  "'quoted'",
  '"quoted"',
  "[open",
  "(open",
  "[a, b]",
  "# comment",
  "key: value",
  "- item",
  "*alias",
  "&anchor",
  "!!tag",
  "%YAML 1.1",
  "---",
  "...",
  "<<",
  "__proto__",
  "$(exit 1)",
  "--train-epochs=3",
  "=",
  "\ufeffmark",
  "\u2028\u0085",
  "🌲 日本語",
];
const path = fc
  .oneof(fc.string({ unit: "binary", minLength: 1 }), fc.constantFrom(...AWKWARD))
  .filter((text) => !text.includes("\0"));

/** A value for every parameter, as `resolveSettings` gives it; a list of a layer each may be of any length. */
const VALID: { [Name in ParameterName]: fc.Arbitrary<unknown> } = {
  imageShape: fc.tuple(side, side),
  channels: fc.constantFrom(1, 3),
  filters: widths,
  pooling: fc.array(name(POOLINGS), { minLength: 1, maxLength: 6 }),
  kernel_size: windows,
  strides: windows,
  activation: name(ACTIVATIONS),
  last_activation: name(ACTIVATIONS),
  dropRate: share,
  dims: widths,
  AutoencoderMLP_switch: fc.boolean(),
  use_bias: fc.boolean(),
  kernel_initializer: name(INITIALIZERS),
  bias_initializer: name(INITIALIZERS),
  kernel_regularizer: regularizer,
  bias_regularizer: regularizer,
  activity_regularizer: regularizer,
  kernel_constraint: constraint,
  bias_constraint: constraint,
  cnn_kernel_initializer: name(INITIALIZERS),
  cnn_bias_initializer: name(INITIALIZERS),
  cnn_kernel_regularizer: regularizer,
  batch_norm_momentum: share,
  batch_norm_epsilon: positive,
  train_epochs: count,
  batch_size: count,
  optimizer: name(OPTIMIZERS),
  learning_rate: fc.option(positive),
  patience: count,
  period: count,
  checkpoint_epochs: fc.integer({ min: 0, max: LARGEST }),
  checkpoint_minutes: fc.double({ min: 0, max: 1e6, noNaN: true }),
  keep: fc.integer({ min: 0, max: LARGEST }),
  on_nan: name(["stop", "skip"]),
  seed: fc.maxSafeNat(),
  device: name(["auto", "cpu", "cuda", "cuda:0", "cuda:12"]),
  precision: name(["auto", "fp32", "bf16"]),
  threads: fc.integer({ min: 0, max: 1024 }),
  train_dir: path,
  valid_dir: path,
  valid_split: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  sync_batch_norm: fc.boolean(),
  horizontal_flip: fc.boolean(),
  vertical_flip: fc.boolean(),
  interpolation: name(INTERPOLATIONS),
  workers: fc.integer({ min: 0, max: 1024 }),
  cache: name(CACHES),
  max_bad: fc.double({ min: 0, max: 1, noNaN: true }),
  max_pixels: fc.integer({ min: 1, max: 2 ** 30 }),
  // These two words stand for no folder.
  save_dir: fc.option(path.filter((text) => !/^(none|null)$/i.test(text.trim()))),
  save_prefix: fc.stringMatching(/^[A-Za-z0-9._-]{1,64}$/),
  overwrite: fc.boolean(),
  preTrain_verbose: fc.constantFrom(0, 1, 2),
};

/** Some parameters with a value each. */
const someValues = fc.record(VALID, { requiredKeys: [] }) as fc.Arbitrary<
  Partial<Record<ParameterName, unknown>>
>;

describe("valid settings", () => {
  it("come through unchanged", () => {
    fc.assert(
      fc.property(someValues, (values) => {
        const settings = resolveSettings([asGiven(values)]);
        const layers = settings.filters.length;
        for (const [name, value] of Object.entries(values)) {
          if (["pooling", "kernel_size", "strides"].includes(name)) {
            const list = value as unknown[];
            const fitted = Array.from({ length: layers }, (_, i) => list[i] ?? list.at(-1));
            expect(settings[name as ParameterName]).toEqual(fitted);
          } else {
            expect(settings[name as ParameterName]).toEqual(value);
          }
        }
      }),
    );
  });

  it("are what their plain form resolves to, and so on for ever", () => {
    fc.assert(
      fc.property(someValues, (values) => {
        const settings = resolveSettings([asGiven(values)]);
        const plain = plainSettings(settings);
        expect(resolveSettings([asGiven(plain)])).toEqual(settings);
        expect(plainSettings(resolveSettings([asGiven(plain)]))).toEqual(plain);
      }),
      runs(100),
    );
  });

  it("survive a YAML file, a JSON file and a run's record", () => {
    fc.assert(
      fc.property(someValues, (values) => {
        const settings = resolveSettings([asGiven(values)]);
        const plain = plainSettings(settings);
        // As setting.yaml is written.
        const options = { flowCollectionPadding: false, lineWidth: 0 };
        expect(fromText(stringify(plain, options))).toEqual(settings);
        expect(fromText(JSON.stringify(plain))).toEqual(settings);
        expect(fromText(stringify({ name: "AE", config: plain }, options))).toEqual({
          ...settings,
          save_dir: null,
          overwrite: false,
        });
      }),
      runs(100),
    );
  });
});

// --- spellings of flags -----------------------------------------------------------------------------------------

function camelCase(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** The ways to write `value`, each as one text. */
function texts(name: ParameterName, value: unknown): string[] {
  const { kind } = findParameter(name) as (typeof PARAMETERS)[number];
  switch (kind) {
    case "boolean":
      return value ? ["true", "True", "yes", "on", "1"] : ["false", "False", "no", "off", "0"];
    case "numbers":
    case "names": {
      const list = value as unknown[];
      const plain = list.join(",");
      return [plain, `[${plain}]`, `(${plain},)`, `[${list.join(", ")}]`, ` ${list.join(" , ")} `];
    }
    case "regularizer": {
      const text = regularizerText(value as never);
      const { l1, l2 } = value as { l1: number; l2: number };
      return [text, ` ${text} `, `L1L2(l1=${l1}, l2 = ${l2})`];
    }
    case "constraint":
      return [constraintText(value as never), `"${constraintText(value as never)}"`];
    case "share":
      return [String(value), `'${value}'`];
    case "path":
      return [value === null ? "None" : String(value)];
    default:
      return value === null ? ["none", "None", "null"] : [String(value), ` "${value}" `];
  }
}

interface Written {
  name: ParameterName;
  value: unknown;
  /** The arguments that say so. */
  argv: string[];
}

/** A parameter in one of all its spellings. */
const written: fc.Arbitrary<Written> = fc
  .constantFrom(...PARAMETERS)
  .chain((parameter) =>
    fc.tuple(fc.constant(parameter), VALID[parameter.name], fc.nat(), fc.nat(), fc.nat()),
  )
  .map(([parameter, value, a, b, c]) => {
    const { name, alias } = parameter as (typeof PARAMETERS)[number] & { alias?: string };
    const names = [name, kebabCase(name), camelCase(name), name.toUpperCase()];
    if (alias !== undefined) names.push(alias);
    const spelled = names[a % names.length] as string;
    const all = texts(name, value);
    const text = all[b % all.length] as string;
    const forms = [[`--${spelled}=${text}`]];
    if (!text.startsWith("--")) forms.push([`--${spelled}`, text]);
    if (parameter.kind === "boolean") forms.push([value ? `--${spelled}` : `--no-${spelled}`]);
    // What a shell makes of an unquoted list with spaces.
    if (text.startsWith("[") && parameter.kind === "numbers") {
      forms.push([`--${spelled}`, ...text.split(" ")]);
    }
    return { name, value, argv: forms[c % forms.length] as string[] };
  });

describe("flags", () => {
  it("mean the same in every spelling and place", () => {
    fc.assert(
      fc.property(fc.array(written), fc.nat(), (given, place) => {
        const parts = given.map(({ argv }) => argv);
        parts.splice(place % (parts.length + 1), 0, ["run"]);
        const { settings, rest } = fromArguments(parts.flat());
        // Of a parameter given more than once, the last counts.
        const values = Object.fromEntries(given.map(({ name, value }) => [name, value]));
        expect(settings).toEqual(resolveSettings([asGiven(values)]));
        expect(rest).toEqual(["run"]);
      }),
      runs(1000),
    );
  });

  it("win over the config file, name by name", () => {
    fc.assert(
      fc.property(someValues, someValues, (low, high) => {
        const merged = resolveSettings([asGiven({ ...low, ...high })]);
        expect(resolveSettings([asGiven(low), asGiven(high)])).toEqual(merged);
      }),
    );
  });
});

// --- anything else ----------------------------------------------------------------------------------------------

const prototypes = [Object, Array, Function, String, Number, Map].map(
  ({ prototype }) => prototype as object,
);
const inherited = prototypes.map((prototype) => Reflect.ownKeys(prototype));

function sameKeys(prototype: object, keys: readonly PropertyKey[] | undefined): boolean {
  const now = Reflect.ownKeys(prototype);
  return now.length === keys?.length && now.every((key, i) => key === keys[i]);
}

/** Runs what may only succeed or refuse in the agreed form, and change nothing it does not own. */
function orRefuse<T>(work: () => T): T | undefined {
  let result: T | undefined;
  try {
    result = work();
  } catch (error) {
    expectRefusal(error);
  }
  expect(prototypes.every((prototype, i) => sameKeys(prototype, inherited[i]))).toBe(true);
  return result;
}

function expectRefusal(error: unknown): void {
  expect(error).toBeInstanceOf(FlexaeError);
  const { code, message } = error as FlexaeError;
  expect(code).toBe("FLEXAE_CONFIG");
  expect(message.split(/\r\n|[\n\r]/).length, message).toBeLessThanOrEqual(2);
  // Nothing that steers a terminal.
  expect(message.replace("\n", "")).not.toMatch(/\p{Control}/u);
  expect(message.length).toBeLessThan(600);
}

const anyNames = fc.oneof(
  fc.constantFrom(...PARAMETERS.map(({ name }) => name)),
  fc.constantFrom("__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "config"),
  fc.string(),
);

const anyValues = fc.oneof(
  fc.anything({
    withBigInt: true,
    withDate: true,
    withMap: true,
    withSet: true,
    withNullPrototype: true,
    withObjectString: true,
    withSparseArray: true,
    withTypedArray: true,
  }),
  fc.string({ unit: "binary", maxLength: 200 }),
  fc.constantFrom("constructor", "constructor(a=1)", "__proto__(1)", "valueOf", "l2(l2=)", "[,,]"),
  fc.double(),
);

/** Pieces of which YAML is made, sound and not. */
const FRAGMENTS = [
  ..."[]{},:-?&*!|>'\"%@`#\n\t \0\r\u2028\ufeff",
  "- ",
  "? ",
  ": ",
  "\n  ",
  "---\n",
  "...\n",
  "&a ",
  "*a",
  "<<: *a",
  "!!binary ",
  "!!js/function 'x'",
  "!!python/object/apply:os.system ",
  "!!set ",
  "!!omap ",
  "!<tag:yaml.org,2002:merge> ",
  "%YAML 1.1\n---\n",
  "%YAML 9.9\n---\n",
  "%TAG ! tag:x,2000:\n---\n",
  "2001-01-01",
  "0o777",
  "1e999",
  "-.inf",
  ".nan",
  "1:30:00",
  "config: ",
  "__proto__: ",
  "constructor: ",
  "prototype: ",
  "train_epochs: ",
  "train_dir: ",
  "filters: ",
  "kernel_regularizer: ",
  "save_dir: ",
  '"\\u0000"',
  '"\\x"',
  "99999999999999999999999",
];

const anyText = fc.oneof(
  fc.string({ unit: "binary", maxLength: 300 }),
  fc.array(fc.constantFrom(...FRAGMENTS), { maxLength: 40 }).map((parts) => parts.join("")),
  fc.json(),
);

/** The text of sound settings with pieces taken out, put in and doubled. */
const damagedText = fc
  .tuple(someValues, fc.array(fc.tuple(fc.nat(), fc.nat(20), anyText), { maxLength: 4 }))
  .map(([values, edits]) => {
    let text = stringify(plainSettings(resolveSettings([asGiven(values)])));
    for (const [at, length, piece] of edits) {
      const from = at % (text.length + 1);
      text = text.slice(0, from) + piece + text.slice(from + length);
    }
    return text;
  });

describe("whatever is given", () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it("as values: they resolve or are refused", () => {
    fc.assert(
      fc.property(fc.dictionary(anyNames, anyValues, { noNullPrototype: false }), (values) => {
        const settings = orRefuse(() => resolveSettings([asGiven(values)]));
        // What is taken is sound: it comes back the same.
        if (settings !== undefined) {
          expect(resolveSettings([asGiven(plainSettings(settings))])).toEqual(settings);
        }
      }),
      runs(2000),
    );
  });

  it("as a config file: it is read or refused", () => {
    fc.assert(
      fc.property(fc.oneof(anyText, damagedText), (text) => {
        const settings = orRefuse(() => fromText(text));
        if (settings !== undefined) {
          expect(resolveSettings([asGiven(plainSettings(settings))])).toEqual(settings);
        }
      }),
      runs(1000),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        orRefuse(() => fromText(bytes));
      }),
      runs(100),
    );
  });

  it("as the path of a config file: it is read or refused", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 5000 }), (path) => {
        orRefuse(() => readConfigFile(join(folder, path)));
      }),
    );
    for (const path of ["/dev/zero", "/proc/self/mem", "/", "", "a\0b"]) {
      expect(() => readConfigFile(path)).toThrow(FlexaeError);
      orRefuse(() => readConfigFile(path));
    }
  });

  it("as a command line: it is split or refused", async () => {
    vi.spyOn(process.stdout, "write").mockReturnValue(true);
    const word = fc.oneof(
      fc.string({ unit: "binary" }),
      anyNames.map((name) => `--${name}`),
      fc.tuple(anyNames, fc.string()).map(([name, value]) => `--${name}=${value}`),
      fc.constantFrom(
        "--",
        "-",
        "-c",
        "--config",
        "--json",
        "-h",
        "-V",
        "--no-",
        "--=",
        "[",
        "--steps",
      ),
      written.map(({ argv }) => argv[0] as string),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(word), async (argv) => {
        orRefuse(() => fromArguments(argv));
        // The whole program as well, where it would start nothing.
        const commands = ["run", "train", "summary", "bench", "evaluate", "check", "doctor"];
        if (argv.some((argument) => commands.includes(argument))) return;
        const code = await runProgram(argv).catch((error) => {
          expectRefusal(error);
          return 0;
        });
        expect(code).toBe(0);
      }),
      runs(1000),
    );
  });

  it("nothing in it is executed", async () => {
    const marker = join(folder, "executed");
    const spell = `touch ${marker}`;
    const script = `require("fs").writeFileSync(${JSON.stringify(marker)}, "")`;
    const values = [
      `$(${spell})`,
      `\`${spell}\``,
      `; ${spell}`,
      `\${${script}}`,
      `!!js/function 'function () { ${script} }'`,
      `!!python/object/apply:os.system ["${spell}"]`,
      `!<tag:yaml.org,2002:js/eval> '${script}'`,
      `{ toString: "${spell}", then: "${spell}", toJSON: '${script}' }`,
    ];
    for (const value of values) {
      for (const name of ["train_dir", "save_prefix", "kernel_regularizer", "toJSON", "then"]) {
        orRefuse(() => fromText(`${name}: ${value}\n`));
        orRefuse(() => fromText(JSON.stringify({ [name]: value })));
        orRefuse(() => fromArguments([`--${name}=${value}`]));
      }
    }
    // As a shell would never hand them over, through the whole program.
    const ends = await Promise.all(
      values
        .slice(0, 4)
        .map((value) => start([main, "run", `--train-dir=${value}`, "--save-dir", value]).ended),
    );
    for (const { code, stderr } of ends) expect(code, stderr).toBe(3);
    expect(existsSync(marker)).toBe(false);
  });

  it("however large or deep: a process reads it to its end", async () => {
    const script = join(folder, "large.mjs");
    writeFileSync(script, LARGE_INPUTS);
    const { child, ended } = start([script, join(folder, "large.yaml"), root]);
    // One that takes time by the square of its length, or never ends, is cut short.
    const timer = setTimeout(() => child.kill("SIGKILL"), 90_000);
    const { code, signal, stdout, stderr } = await ended;
    clearTimeout(timer);
    expect(signal, `stopped at ${stdout.trimEnd().split("\n").at(-1)}`).toBeNull();
    expect(code, `${stdout}\n${stderr}`).toBe(0);
    expect(stdout).toContain("all read");
  });
});

/** Reads, in a process of its own, files of a size that a parser without bounds chokes on. */
const LARGE_INPUTS = `
import { writeFileSync } from "node:fs";
const [path, root] = process.argv.slice(2);
const { readConfigFile } = await import(root + "/dist/config/file.js");
const { resolveSettings } = await import(root + "/dist/config/resolve.js");
const { splitArguments } = await import(root + "/dist/cli/argv.js");
const full = (piece, length = 1 << 20) => piece.repeat(Math.floor(length / piece.length));
const many = (count, text) => Array.from({ length: count }, (_, i) => text(i));
const levels = [..."abcdefghij"];
const texts = {
  "open brackets": full("["),
  "brackets, few": full("[", 2000),
  "closed brackets": full("[", 1 << 19) + full("]", 1 << 19),
  "closing brackets": full("]", 1 << 17),
  "open braces": full("{a: "),
  "lists in lists": full("- "),
  "keys in keys": full("? "),
  "indented maps": many(1000, (i) => " ".repeat(i) + "a:").join("\\n"),
  "quotes": full('"'),
  "escapes": 'a: "' + full("\\\\q", 1 << 16) + '"',
  "anchors": full("&a "),
  "tags": full("! "),
  "anchors and aliases": "[" + many(15000, (i) => "&a" + i + " 1, *a" + i).join(", ") + "]",
  "aliases of one": "a: &a 1\\nfilters: [" + full("*a, ", 4000) + "*a]",
  "aliases of aliases": levels
    .map((c, i) => c + ": &" + c + " [" + Array(9).fill(i ? "*" + levels[i - 1] : "x") + "]\\n")
    .join(""),
  "an alias of its own list": "filters: &a [*a]",
  "keys": many(25000, (i) => "k" + i + ": 1").join("\\n"),
  "one key": full("a: 1\\n"),
  "documents": full("---\\n"),
  "lines": full("\\n"),
  "zeros": full("\\0"),
  "a long name": "? " + full("a", 1000000) + "\\n: 1",
  "a long number": "seed: " + full("1", 1000000),
  "a long wrong number": "seed: '" + full("1", 1000000) + "x'",
  "a long fraction": "seed: 1." + full("0", 1000000) + "x",
  "a long time": "%YAML 1.1\\n---\\nseed: " + full("1:", 1000000) + "1",
  "a long list": "filters: [" + full("1,", 60000) + "1]",
  "a long factor": 'kernel_regularizer: "l2(l2=' + full(" ", 1000000) + '\\\\nx\\\\ny)"',
  "a long word": "activation: " + full("aB", 1000000),
  "more than a config": "a: " + full("x", 2 << 20),
};
function read(name, work) {
  console.log(name);
  try {
    work();
  } catch (error) {
    if (error.code === "FLEXAE_CONFIG" && !/[^]*\\n[^]*\\n/.test(error.message)) return;
    console.error(name, error);
    process.exitCode = 1;
  }
}
for (const [name, text] of Object.entries(texts)) {
  writeFileSync(path, text);
  read(name, () => resolveSettings([readConfigFile(path)]));
}
read("a long flag", () => splitArguments(["--" + full("a", 130000)]));
read("a long unknown flag", () => splitArguments(["--" + full("train_", 130000)]));
read("many words", () => splitArguments(["--filters", ...many(50000, () => "[")]));
console.log("all read");
`;
