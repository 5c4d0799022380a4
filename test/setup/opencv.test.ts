// opencv4nodejs: built for the running Node, tried before it counts, kept for other copies. The
// binary is that of this clone, which set-up built.

import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { headersAbi, nodeHeaders } from "../../scripts/setup/headers.mjs";
import { loadProblem } from "../../scripts/setup/native.mjs";
import {
  builtFolder,
  drawingProblem,
  gypEnvironment,
  resolveOpencv4nodejs,
} from "../../scripts/setup/opencv.mjs";

const BINARY = path.join(builtFolder(), "opencv4nodejs.node");
const { node, modules: abi } = process.versions;

let work: string;
let folder: string;
let env: NodeJS.ProcessEnv;
beforeEach(() => {
  work = mkdtempSync(path.join(tmpdir(), "flexae-opencv-"));
  folder = path.join(work, `abi-${abi}`);
  env = { ...process.env, FLEXAE_CACHE: path.join(work, "cache") };
});
afterEach(() => rmSync(work, { recursive: true, force: true }));

/** Stands for the compiler: gives `text`, or this clone's binary. */
function builder(text?: string) {
  let times = 0;
  const build = async (place: string) => {
    times++;
    const file = path.join(place, "opencv4nodejs.node");
    if (text === undefined) copyFileSync(BINARY, file);
    else writeFileSync(file, text);
    return file;
  };
  return { build, times: () => times };
}

describe("set-up", () => {
  test("notes the Node it built for, and builds once for all copies", async () => {
    const { build, times } = builder();
    const first = await resolveOpencv4nodejs({ env, folder, build });
    expect(first.how).toBe("compiled");
    expect(first.what).toContain(`for Node ${node} (ABI ${abi})`);
    const note = JSON.parse(readFileSync(path.join(folder, "built.json"), "utf8"));
    expect(note).toMatchObject({ node, abi, opencv4nodejs: "7.1.2" });

    expect((await resolveOpencv4nodejs({ env, folder, build })).how).toBe("there");
    const other = path.join(work, "other");
    expect((await resolveOpencv4nodejs({ env, folder: other, build })).how).toBe("cache");
    expect(times()).toBe(1);
    expect(readdirSync(other).sort()).toEqual(["built.json", "opencv4nodejs.node"]);
  });

  test("replaces a binary that does not load any more", async () => {
    const { build, times } = builder();
    await resolveOpencv4nodejs({ env, folder, build });
    truncateSync(path.join(folder, "opencv4nodejs.node"), 1000);
    expect((await resolveOpencv4nodejs({ env, folder, build })).how).toBe("cache");
    expect(drawingProblem(path.join(folder, "opencv4nodejs.node"))).toBe(null);

    const [key] = readdirSync(path.join(work, "cache", "compiled", "opencv4nodejs"));
    const kept = path.join(work, "cache", "compiled", "opencv4nodejs", key as string);
    truncateSync(path.join(kept, "opencv4nodejs.node"), 1000);
    truncateSync(path.join(folder, "opencv4nodejs.node"), 1000);
    expect((await resolveOpencv4nodejs({ env, folder, build })).how).toBe("compiled");
    expect(times()).toBe(2);
  });

  test("stops with the reason if what was built does not work, and keeps nothing of it", async () => {
    const { build } = builder("not a library");
    await expect(resolveOpencv4nodejs({ env, folder, build })).rejects.toThrow(
      new RegExp(
        `compiled, and does not work in Node ${node} \\(ABI ${abi}\\): .*(file too short|invalid ELF)`,
      ),
    );
    expect(readdirSync(folder)).toEqual([]);
    expect(existsSync(path.join(work, "cache", "compiled"))).toBe(false);
  });

  test("goes on without a cache that can be written, and says so", async () => {
    writeFileSync(path.join(work, "file"), "");
    const { build } = builder();
    const found = await resolveOpencv4nodejs({
      env: { ...env, FLEXAE_CACHE: path.join(work, "file") },
      folder,
      build,
    });
    expect(found.how).toBe("compiled");
    expect(found.what).toMatch(/not kept for other copies: .*cannot be written/);
  });
});

describe("Node's headers", () => {
  const prefixWith = (name: string, version: string) => {
    const include = path.join(work, name, "include", "node");
    mkdirSync(include, { recursive: true });
    writeFileSync(path.join(include, "common.gypi"), "{}");
    const text = `#define NODE_MODULE_VERSION ${version}\n`;
    writeFileSync(path.join(include, "node_version.h"), text);
    return path.join(work, name);
  };
  const program = (prefix: string) => {
    const file = path.join(prefix, "bin", "node");
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, "");
    return file;
  };

  test("are those beside its program, if they are its own", () => {
    const own = prefixWith("own", abi);
    const other = prefixWith("other", "83");
    expect(headersAbi(other)).toBe("83");
    expect(headersAbi(work)).toBe(null);
    expect(nodeHeaders({}, program(own))).toBe(own);
    expect(nodeHeaders({}, program(other))).toBe(null);
    // npm's nodedir counts where it is right, and nowhere else.
    expect(nodeHeaders({ npm_config_nodedir: other }, program(own))).toBe(own);
    expect(nodeHeaders({ npm_config_nodedir: own }, program(other))).toBe(own);
    expect(nodeHeaders({ npm_config_nodedir: other }, program(other))).toBe(null);
  });

  test("of the npm package `node` lie further down", () => {
    const name = `node-${process.platform}-${process.arch}`;
    const inner = prefixWith(path.join("node", "node_modules", name), abi);
    expect(nodeHeaders({}, program(path.join(work, "node")))).toBe(inner);
  });

  test("are not chosen by npm's settings in node-gyp", () => {
    const told = {
      CXX: "c++",
      npm_config_nodedir: "/usr",
      npm_config_target: "18.0.0",
      npm_config_runtime: "electron",
      npm_package_config_node_gyp_nodedir: "/usr",
      npm_config_proxy: "http://127.0.0.1/",
    };
    const kept = { CXX: "c++", npm_config_proxy: "http://127.0.0.1/" };
    expect(gypEnvironment(told)).toEqual(kept);
  });
});

test("what is wrong with a module is told in one line, whatever it does", () => {
  const file = path.join(work, "thing.cjs");
  writeFileSync(file, "module.exports = { answer: 42 };");
  expect(loadProblem(file)).toBe(null);
  expect(loadProblem(file, 'if (loaded.answer !== 42) throw new Error("no")')).toBe(null);
  expect(loadProblem(file, 'throw new Error("no\\nreally")')).toBe("no");
  writeFileSync(file, "process.abort();");
  expect(loadProblem(file)).toMatch(/^loading it ends the process with SIGABRT/);
  writeFileSync(file, "process.exit(3);");
  expect(loadProblem(file)).toBe("loading it ends the process with exit code 3");
  expect(loadProblem(path.join(work, "absent.node"))).toMatch(/^Cannot find module/);
});
