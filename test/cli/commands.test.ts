import { describe, expect, it } from "vitest";
import { concerns } from "../../ts/cli/command.ts";
import { COMMANDS } from "../../ts/cli/commands.ts";
import { findParameter, flagName, PARAMETERS, type Parameter } from "../../ts/config/parameters.ts";
import { flexae, main, start } from "../support/cli.ts";

describe("commands", () => {
  it("are those that the parameters name, and have one name each", () => {
    const names = COMMANDS.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const { name, commands } of PARAMETERS) {
      for (const command of commands) expect(names, name).toContain(command);
    }
  });

  it("may name parameters whose rows do not name them", () => {
    const later = { name: "later", description: "", takes: ["seed"], run: async () => 0 } as const;
    const asked = (name: string) => concerns(findParameter(name) as Parameter, later);
    expect(asked("seed")).toBe(true);
    expect(asked("filters")).toBe(false);
  });

  it.each(COMMANDS.map((command) => [command.name, command] as const))(
    "%s shows what concerns it, and nothing else",
    async (name, command) => {
      const { stdout } = await flexae([name, "--help"]);
      const shown = [...stdout.matchAll(/^ {2}--([\w-]+) <.*?> /gm)]
        .map(([, flag]) => findParameter(flag as string)?.name)
        .filter((parameter) => parameter !== undefined);
      // A command's own option may be called as a parameter is; those shown above take a value.
      const own = (command.options ?? []).map(([flags]) => /--([\w-]+) </.exec(flags)?.[1]);
      const expected = PARAMETERS.filter(
        (parameter) => concerns(parameter, command) || own.includes(flagName(parameter)),
      );
      // A command's own options come first, whatever they are called.
      expect(shown.sort()).toEqual(expected.map(({ name }) => name).sort());
    },
  );

  it("are described without what they need when they are called", async () => {
    const hook = `
      import { writeSync } from "node:fs";
      export async function load(url, context, next) {
        writeSync(2, url + "\\n");
        return next(url, context);
      }`;
    const encoded = (text: string) => `data:text/javascript,${encodeURIComponent(text)}`;
    const watch = `
      import { register } from "node:module";
      register(${JSON.stringify(encoded(hook))});`;
    for (const args of [["--help"], ["bench", "--help"]]) {
      const { code, stderr } = await start(["--import", encoded(watch), main, ...args]).ended;
      expect(code).toBe(0);
      expect(stderr).toMatch(/cli\/commands\/bench\.js/);
      expect(stderr).not.toMatch(/dist\/(runs|imaging)\/|zod|yaml|cli-progress|csv-/);
    }
  });
});
