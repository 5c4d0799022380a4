// A plugin of typedoc. Each setting's type and meaning follow from its row of the table of
// parameters: the type is shown worked out, and the row's help is its description. Reads dist/, so
// compile first.

import { Comment, Converter, ReflectionKind, UnknownType } from "typedoc";
import ts from "typescript";
import { jsonKeys } from "../../dist/config/network.js";
import { PARAMETERS } from "../../dist/config/parameters.js";

/** The types that are made of the table's rows. */
const TYPES = new Set(["Settings", "Network"]);

const help = new Map();
for (const parameter of PARAMETERS) {
  for (const name of [parameter.name, ...jsonKeys(parameter)]) help.set(name, parameter.help);
}

export function load(app) {
  const worked = new Map();
  app.converter.on(Converter.EVENT_CREATE_DECLARATION, (context, reflection) => {
    if (!reflection.kindOf(ReflectionKind.Property)) return;
    if (!TYPES.has(reflection.parent.name)) return;
    const text = help.get(reflection.name);
    if (text === undefined) return;
    const sentence = `${text[0].toUpperCase()}${text.slice(1)}.`;
    reflection.comment = new Comment([{ kind: "text", text: sentence }]);
    // Seen from a file that cannot name the aliases in between.
    const from = context.program.getSourceFile(context.programs[0].getRootFileNames()[0]);
    const type = context.checker.getTypeOfSymbol(context.getSymbolFromReflection(reflection));
    const { NoTruncation } = ts.TypeFormatFlags;
    const shown = context.checker.typeToString(type, from, NoTruncation);
    worked.set(reflection, shown.replaceAll(/import\("[^"]*"\)\./g, ""));
  });
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    for (const [reflection, text] of worked) {
      project.removeTypeReflections(reflection.type);
      reflection.type = new UnknownType(text);
    }
  });
}
