import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { settingsHeader } from "../../ts/config/cpp.ts";
import { parameterTable } from "../../ts/config/markdown.ts";
import { root } from "../support/cli.ts";

// `npm run tables` writes both.

it("the README shows the parameters as they are", () => {
  expect(readFileSync(join(root, "README.md"), "utf8")).toContain(`\n${parameterTable()}\n\n`);
});

it("C++ reads the parameters as they are", () => {
  const header = readFileSync(join(root, "native/core/spec/settings.h"), "utf8");
  expect(header).toBe(settingsHeader());
  for (const line of header.split("\n")) expect([...line].length).toBeLessThanOrEqual(100);
});
