import { defaultText, flagName, GROUPS, PARAMETERS, type Parameter } from "./parameters.js";

function row(parameter: Parameter): string {
  const cells = [
    `\`--${flagName(parameter)}\``,
    `\`${parameter.name}\``,
    `\`${defaultText(parameter)}\``,
    parameter.help,
  ];
  return `| ${cells.join(" | ")} |`;
}

/** The parameters as the README's table, a section a group. */
export function parameterTable(): string {
  const sections = Object.entries(GROUPS).map(([group, title]) =>
    [
      `| ${title} | in a config file | default | meaning |`,
      "|---|---|---|---|",
      ...PARAMETERS.filter((parameter) => parameter.group === group).map(row),
    ].join("\n"),
  );
  return sections.join("\n\n");
}
