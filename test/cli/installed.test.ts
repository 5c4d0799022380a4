// What an installed package says while it is not set up, or not for this Node, and what it then
// does without: the copies here are laid out as npm would, and have or lack what set-up makes.
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { jsonLines, root, smallRun, start, temporaryFolder } from "../support/cli.ts";

const { node, modules: abi } = process.versions;

/** The package without what set-up makes. */
function installed(): { folder: string; cli: string } {
  const folder = join(temporaryFolder(), "flexible-autoencoder");
  for (const name of ["dist", "package.json", "scripts/flexae.mjs"]) {
    cpSync(join(root, name), join(folder, name), { recursive: true });
  }
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  return { folder, cli: join(folder, "scripts/flexae.mjs") };
}

/** The package with its addon, and without opencv4nodejs. */
function withAddon(): { folder: string; cli: string } {
  const copy = installed();
  symlinkSync(join(root, "build"), join(copy.folder, "build"));
  return copy;
}

describe("a package that was never set up", () => {
  it("says in one line what to run, whatever was asked", async () => {
    const { cli } = installed();
    const help = await start([cli, "--help"]).ended;
    expect(help.code).toBe(0);
    expect(help.stderr).toMatch(/^flexae: [^\n]+ run `npx flexae-setup`\n$/);
    const bare = await start([cli]).ended;
    expect(bare.code).toBe(2);
    expect(bare.stderr).toMatch(/\n[^\n]+ run `npx flexae-setup`\n$/);
    // What needs the addon says it once.
    const summary = await start([cli, "summary"]).ended;
    expect(summary.code).toBe(1);
    expect(summary.stderr).toMatch(/was not found.*\nRun `npx flexae-setup`/);
    expect(summary.stderr.match(/npx flexae-setup/g)).toHaveLength(1);
  });

  it("says so at import, and can be imported", async () => {
    const { folder } = installed();
    const program = `import { version, summary } from ${JSON.stringify(join(folder, "dist/index.js"))};
      process.stdout.write(version);
      try { summary(); } catch (error) { process.stdout.write(" " + error.code); }`;
    const { code, stdout, stderr } = await start(["--input-type=module", "-e", program]).ended;
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/^\d+\.\d+\.\d+ FLEXAE_INTERNAL$/);
    expect(stderr.match(/run `npx flexae-setup`/g)).toHaveLength(1);
  });

  it("is quiet where an addon is given", async () => {
    const { cli } = installed();
    const env = { FLEXAE_ADDON: join(root, "build/Release/flexae.node") };
    expect((await start([cli, "--version"], { env }).ended).stderr).toBe("");
  });
});

describe("a package without opencv4nodejs", () => {
  it("trains, says that there are no pictures, and lists none", async () => {
    const { cli } = withAddon();
    const cwd = temporaryFolder();
    const text = await start([cli, ...smallRun("--save-dir=run")], { cwd }).ended;
    expect(text.code, text.stderr).toBe(0);
    expect(text.stderr).toMatch(
      /pictures could not be made: opencv4nodejs.*it is not built yet\nRun `npx flexae-setup`/,
    );
    expect(text.stdout).toContain("ae.pt, en.pt");
    expect(text.stdout).not.toMatch(/\.png/);
    expect(readdirSync(join(cwd, "run")).filter((name) => name.endsWith(".png"))).toEqual([]);
    // The page has the rest, and says what it has not.
    const page = readFileSync(join(cwd, "run/report.html"), "utf8");
    expect(page).toContain(">Curves</h3>");
    expect(page).toContain("Not shown: images and embedding: opencv4nodejs");

    const more = ["--save-dir=run", "--overwrite", "--json"];
    const json = await start([cli, ...smallRun(...more)], { cwd }).ended;
    expect(jsonLines(json.stdout).at(-1)).toMatchObject({ event: "end", pictures: [] });
  });

  it("clusters, and says once that there are no contact sheets", async () => {
    const { cli } = withAddon();
    const cwd = temporaryFolder();
    const rows = [0, 1, 50, 51].map((at) => JSON.stringify({ path: "x.png", embedding: [at, 0] }));
    writeFileSync(join(cwd, "table.jsonl"), rows.join("\n"));
    const { code, stdout, stderr } = await start(
      [cli, "cluster", "table.jsonl", "-k", "2", "-o", "out.csv", "--json"],
      { cwd },
    ).ended;
    expect(code).toBe(0);
    expect(jsonLines(stdout)[0]).toMatchObject({ k: 2, sheets: null });
    expect(stderr).toMatch(
      /^flexae: The contact sheets could not be made: opencv4nodejs.*\nRun `npx flexae-setup`[^\n]*\n$/,
    );
    expect(readdirSync(cwd).sort()).toEqual([
      "out.clusters.json",
      "out.clusters.npy",
      "out.csv",
      "table.jsonl",
    ]);
  });

  it("says for which Nodes it was built, if for others", async () => {
    const { cli, folder } = withAddon();
    for (const other of ["83", "93"]) {
      const build = join(folder, "opencv/build", `abi-${other}`);
      mkdirSync(build, { recursive: true });
      const note = { node: `${Number(other) / 10}.0`, abi: other };
      if (other === "83") writeFileSync(join(build, "built.json"), JSON.stringify(note));
    }
    const { code, stdout } = await start([cli, "doctor"]).ended;
    expect(code).toBe(0);
    expect(stdout).toContain(
      `it was built for Node 8.3.0 (ABI 83), and this is Node ${node} (ABI ${abi})`,
    );
    expect(stdout).toMatch(/→ Run `npx flexae-setup` with this Node/);
    expect(stdout).toContain("Training works here, without pictures");
  });

  it("says what is wrong with one that does not load", async () => {
    const { cli, folder } = withAddon();
    const build = join(folder, "opencv/build", `abi-${abi}`);
    mkdirSync(build, { recursive: true });
    writeFileSync(join(build, "opencv4nodejs.node"), "not a library");
    const { stdout } = await start([cli, "doctor"]).ended;
    expect(stdout).toMatch(/– opencv4nodejs .*does not load: .*(too short|invalid ELF)/);
    expect(stdout).toMatch(/→ Run `npx flexae-setup`/);
  });
});

describe("the pictures that a run lists", () => {
  it("are those in its folder", async () => {
    const cwd = temporaryFolder();
    const cli = join(root, "scripts/flexae.mjs");
    const { stdout, stderr } = await start([cli, ...smallRun("--save-dir=run", "--json")], { cwd })
      .ended;
    expect(stderr).toBe("");
    const { pictures } = jsonLines(stdout).at(-1) as { pictures: string[] };
    const there = readdirSync(join(cwd, "run")).filter((name) => name.endsWith(".png"));
    expect([...pictures].sort()).toEqual(there.sort());
    expect(pictures).toHaveLength(42);
    const png = readFileSync(join(cwd, "run", pictures[0] as string));
    expect(png.subarray(1, 4).toString("latin1")).toBe("PNG");
  });
});
