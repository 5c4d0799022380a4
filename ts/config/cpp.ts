/** The part of the table that C++ reads, as a header: `native/core/spec/settings.h`. */

import { snakeCase } from "./names.js";
import { jsonKeys, toNetwork, toTrainingJson } from "./network.js";
import { expectedText } from "./parameter.js";
import { PARAMETERS, type Parameter } from "./parameters.js";
import { resolveSettings } from "./resolve.js";

/** The enumerations that names become. */
const ENUMS: Readonly<Record<string, string>> = {
  pooling: "Pooling",
  activation: "Activation",
  last_activation: "Activation",
  kernel_initializer: "Initializer",
  bias_initializer: "Initializer",
  cnn_kernel_initializer: "Initializer",
  cnn_bias_initializer: "Initializer",
  optimizer: "OptimizerKind",
  on_nan: "OnNan",
};

/** One member of a struct; a list of fixed length is several. */
interface Member {
  parameter: Parameter;
  key: string;
  type: string;
  value: unknown;
}

function typeOf(parameter: Parameter): string {
  const { kind, name, bounds, among, entries } = parameter;
  const integer = among !== undefined || bounds?.integer === true;
  switch (kind) {
    case "number":
    case "share":
      return integer ? "int64_t" : "double";
    case "numbers":
      return entries === undefined ? "std::vector<int64_t>" : "int64_t";
    case "boolean":
      return "bool";
    case "name":
      return ENUMS[name] as string;
    case "names":
      return `std::vector<${ENUMS[name]}>`;
    case "regularizer":
      return "Regularizer";
    case "constraint":
      return "Constraint";
    default:
      return "std::string";
  }
}

function members(part: "network" | "training"): Member[] {
  const settings = resolveSettings([]);
  const values = (
    part === "network" ? toNetwork(settings) : JSON.parse(toTrainingJson(settings))
  ) as Record<string, unknown>;
  return PARAMETERS.filter((parameter) => parameter.part === part).flatMap((parameter) =>
    jsonKeys(parameter).map((key) => ({
      parameter,
      key,
      type: typeOf(parameter),
      value: values[key],
    })),
  );
}

/** `leaky_relu` → `kLeakyRelu`. */
function enumerator(name: string): string {
  if (name === "no") return "kNone";
  return `k${name.replace(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase())}`;
}

function literal(type: string, value: unknown): string {
  if (typeof value === "string") {
    return type === "std::string" ? JSON.stringify(value) : `${type}::${enumerator(value)}`;
  }
  if (typeof value === "number") {
    return type === "double" && Number.isInteger(value) ? value.toFixed(1) : String(value);
  }
  return String(value);
}

/** Lines of at most 100 characters. */
function wrap(text: string, prefix: string): string[] {
  const lines: string[] = [];
  let line = prefix.trimEnd();
  for (const word of text.split(" ")) {
    if (line.length + 1 + word.length > 100) {
      lines.push(line);
      line = prefix.trimEnd();
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}

function declaration({ parameter, key, type, value }: Member): string {
  const element = /^std::vector<(.+)>$/.exec(type)?.[1];
  let initial = "";
  if (element !== undefined) {
    initial = `{${(value as unknown[]).map((entry) => literal(element, entry)).join(", ")}}`;
  } else if (type !== "Regularizer" && type !== "Constraint") {
    initial = ` = ${literal(type, value)}`;
  }
  const help = wrap(parameter.help, "  /// ").join("\n");
  return `${help}\n  ${type} ${snakeCase(key)}${initial};`;
}

function numberText(value: number): string {
  return Number.isInteger(value) && value >= 1e6 ? `${value}.0` : String(value);
}

/** What `Setting` of `setting.h` says of a member. */
function settingText({ parameter, key }: Member): string {
  const { name, bounds, among, mostEntries, perLayer, later } = parameter;
  const fields: string[] = [];
  if (among !== undefined) fields.push(`.among = {${Object.keys(among).join(", ")}}`);
  if (bounds !== undefined) {
    fields.push(`.least = ${numberText(bounds.least)}`);
    if (bounds.most !== undefined) fields.push(`.most = ${numberText(bounds.most)}`);
    if (bounds.above) fields.push(".above_least = true");
    if (bounds.below) fields.push(".below_most = true");
  }
  if (perLayer) fields.push(".per_layer = true");
  if (later) fields.push(".later = true");
  if (mostEntries !== undefined) fields.push(`.most_entries = ${mostEntries}`);
  const lines = [`.key = "${key}", .name = "${name}"`];
  if (fields.length > 0) lines.push(fields.join(", "));
  // Of the others their types say what is expected.
  if (bounds !== undefined || among !== undefined) {
    lines.push(`.expected = "${expectedText(parameter)}"`);
  }
  return `{${lines.join(",\n                ")}}`;
}

function struct(name: string, comment: string, list: readonly Member[]): string {
  return [`/// ${comment}`, `struct ${name} {`, ...list.map(declaration), "};"].join("\n");
}

function visitor(struct: string, name: string, list: readonly Member[]): string {
  return [
    `/// Calls \`visit(setting, member)\` for each member of a ${struct}, const or not.`,
    "template <typename Struct, typename Visit>",
    `void ${name}(Struct& of, const Visit& visit) {`,
    ...list.map((m) => `  visit(Setting${settingText(m)},\n        of.${snakeCase(m.key)});`),
    "}",
  ].join("\n");
}

/** The header's text. */
export function settingsHeader(): string {
  const network = members("network");
  const training = members("training");
  return `// Written by \`npm run tables\` from ts/config/parameters.ts: change that instead.
// clang-format off
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/spec/setting.h"
#include "core/spec/vocabulary.h"

namespace flexae {

${struct("ModelConfig", "The network. The four lists of the convolutions have one length.", network)}

${struct("TrainingSettings", "How a network is trained.", training)}

${visitor("ModelConfig", "for_each_model_setting", network)}

${visitor("TrainingSettings", "for_each_training_setting", training)}

}  // namespace flexae
`;
}
