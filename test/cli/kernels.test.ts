import { existsSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, inject, it } from "vitest";
import { flexae, root, smallRun, start, temporaryFolder } from "../support/cli.ts";

const env = { FLEXAE_KERNELS: "avx3" };
const REFUSAL =
  /FLEXAE_KERNELS to be baseline, avx2, avx512 or avx512bf16 but received 'avx3'\.\n.*This processor has baseline/;

describe("FLEXAE_KERNELS", () => {
  let runDir: string;

  beforeAll(async () => {
    runDir = join(inject("digits"), "kernels-run");
    const set = { FLEXAE_KERNELS: "baseline" };
    const ended = await flexae(smallRun(`--save-dir=${runDir}`, "--overwrite"), { env: set });
    expect(ended.code, ended.stderr).toBe(0);
  });

  it("names the set of inner loops", async () => {
    const small = ["--image-shape=8,8", "--filters=4", "--dims=2", "--pooling=no", "--steps=2"];
    const { stdout } = await flexae(["bench", "--json", ...small], {
      env: { FLEXAE_KERNELS: "baseline" },
    });
    expect(JSON.parse(stdout).kernels).toBe("baseline");
  });

  it("ends a training with 2 before anything is written, if it names none", async () => {
    const folder = join(temporaryFolder(), "run");
    const { code, stderr } = await flexae(smallRun(`--save-dir=${folder}`), { env });
    expect(stderr).toMatch(REFUSAL);
    expect(code).toBe(2);
    expect(existsSync(folder)).toBe(false);
  });

  it.each([[["bench", "--steps=2"]], [["evaluate"]]])("ends %j likewise", async (args) => {
    const more = args[0] === "evaluate" ? [runDir] : [];
    const { code, stderr } = await flexae([...args, ...more], { env });
    expect(stderr).toMatch(REFUSAL);
    expect(code).toBe(2);
  });

  it("lets the library load no model", async () => {
    const script = `
      import { load } from "flexible-autoencoder";
      const refused = await load(process.argv[1]).catch((error) => error);
      console.log(refused.code, refused.message);
    `;
    const encoder = join(runDir, "en.pt");
    const args = ["--input-type=module", "-e", script, encoder];
    const { stdout, stderr } = await start(args, { cwd: root, env }).ended;
    expect(stdout, stderr).toMatch(/^FLEXAE_CONFIG /);
    expect(stdout).toMatch(REFUSAL);
  });

  it("is what doctor complains of", async () => {
    const { code, stdout } = await flexae(["doctor"], { env });
    expect(stdout).toMatch(/✗ inner loops +Expected FLEXAE_KERNELS .*'avx3'\.\n +→ This processor/);
    expect(code).toBe(1);
  });
});
