/** The settings as types and as what checks a value: both follow from the table of parameters. */
import { z } from "zod";
import type { Constraint, Regularizer } from "./choices.js";
import { PARAMETERS, type Parameter, type ParameterName, type Row } from "./parameters.js";

/** What a row's parameter is resolved to. */
type ValueOf<R> =
  | (R extends { default: null; kind: "number" | "path" } ? null : never)
  | (R extends { among: infer Numbers }
      ? keyof Numbers
      : R extends { kind: "names"; choices: readonly (infer Choice)[] }
        ? Choice[]
        : R extends { choices: readonly (infer Choice)[] }
          ? Choice
          : R extends { entries: readonly [string, string] }
            ? [number, number]
            : R extends { kind: "numbers" }
              ? number[]
              : R extends { kind: "number" | "share" }
                ? number
                : R extends { kind: "boolean" }
                  ? boolean
                  : R extends { kind: "regularizer" }
                    ? Regularizer
                    : R extends { kind: "constraint" }
                      ? Constraint
                      : string);

/**
 * Every parameter, resolved and checked, by the names of the table.
 *
 * @interface
 */
export type Settings = { [R in Row as R["name"]]: ValueOf<R> };

// A path with a NUL byte cannot exist; the system calls would report it without its name.
const path = z
  .string()
  .min(1)
  .refine((text) => !text.includes("\0"));

const factor = z.number().min(0);
const regularizer = z.strictObject({ l1: factor, l2: factor });
const constraint = z.discriminatedUnion("name", [
  z.strictObject({ name: z.literal("none") }),
  z.strictObject({ name: z.literal("non_neg") }),
  z.strictObject({ name: z.literal("unit_norm") }),
  z.strictObject({ name: z.literal("max_norm"), maxValue: z.number().positive() }),
  z
    .strictObject({
      name: z.literal("min_max_norm"),
      minValue: z.number().min(0),
      maxValue: z.number().positive(),
      rate: z.number().min(0).max(1),
    })
    .refine((c) => c.minValue <= c.maxValue),
]);

function numberSchema({ among, bounds }: Parameter): z.ZodType {
  if (among !== undefined) return z.literal(Object.keys(among).map(Number));
  if (bounds === undefined) return z.number();
  const { integer, least, most, above, below } = bounds;
  let number: z.ZodNumber = integer ? z.int() : z.number();
  number = above ? number.gt(least) : number.min(least);
  if (most === undefined) return number;
  return below ? number.lt(most) : number.max(most);
}

function textSchema({ pattern, choices }: Parameter): z.ZodType {
  return pattern === undefined ? z.enum(choices as string[]) : z.string().regex(pattern.regexp);
}

function numbersSchema(parameter: Parameter): z.ZodType {
  const { entries, mostEntries = Number.POSITIVE_INFINITY } = parameter;
  const list = z.array(numberSchema(parameter));
  return entries === undefined ? list.min(1).max(mostEntries) : list.length(entries.length);
}

function schemaOf(parameter: Parameter): z.ZodType {
  switch (parameter.kind) {
    case "number":
    case "share": {
      const schema = numberSchema(parameter);
      return parameter.default === null ? schema.nullable() : schema;
    }
    case "numbers":
      return numbersSchema(parameter);
    case "boolean":
      return z.boolean();
    case "text":
    case "name":
      return textSchema(parameter);
    case "names":
      return z.array(textSchema(parameter)).min(1);
    case "path":
      return parameter.default === null ? path.nullable() : path;
    case "regularizer":
      return regularizer;
    case "constraint":
      return constraint;
  }
}

const SCHEMAS = new Map(PARAMETERS.map((parameter) => [parameter.name, schemaOf(parameter)]));

/** A copy of a value, as `readValue` gives it, if the parameter may have it. */
export function checkValue(name: ParameterName, value: unknown): { value: unknown } | undefined {
  const checked = (SCHEMAS.get(name) as z.ZodType).safeParse(value);
  return checked.success ? { value: checked.data } : undefined;
}
