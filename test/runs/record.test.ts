import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readRunFiles } from "../../ts/runs/record.ts";
import { temporaryFolder } from "../support/cli.ts";

describe("the record of an imported model", () => {
  it("has its source, and of the settings those of the network alone", async () => {
    const folder = temporaryFolder();
    writeFileSync(
      join(folder, "setting.yaml"),
      "state: imported\nimported: {file: /net.keras, sha256: abc, format: keras}\n" +
        "config: {image_shape: [32, 32], filters: [8], batch_size: 7}\n",
    );
    const { imported, listed, problems } = await readRunFiles(folder);
    expect(problems).toEqual([]);
    expect(imported).toEqual([
      ["file", "/net.keras"],
      ["sha256", "abc"],
      ["format", "keras"],
    ]);
    const names = listed.map(({ name }) => name);
    expect(names).toContain("filters");
    expect(names).not.toContain("batch_size");
    expect(names).not.toContain("train_dir");
  });
});
