import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { parameterTable } from "../../ts/config/markdown.ts";
import { root } from "../support/cli.ts";

it("the README shows the parameters as they are", () => {
  expect(readFileSync(join(root, "README.md"), "utf8")).toContain(parameterTable());
});
