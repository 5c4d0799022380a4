// Where libtorch comes from: LIBTORCH, the cache, pip, the official archive. pip is the real one, given a
// folder of small wheels; the archive's server listens on 127.0.0.1.

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  inspectLibtorch,
  LIBTORCH_VERSION,
  resolveLibtorch,
} from "../../scripts/setup/libtorch.mjs";
import { type Files, libtorchFiles, makeArchive, writeWheel } from "./archives.js";

let work: string;
let wheels: string;
let cache: string;
let servers: Server[];

beforeEach(() => {
  work = mkdtempSync(path.join(tmpdir(), "flexae-libtorch-"));
  wheels = path.join(work, "wheels");
  cache = path.join(work, "cache");
  mkdirSync(wheels);
  servers = [];
});

afterEach(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  rmSync(work, { recursive: true, force: true });
});

/** pip sees only `wheels`; the archive's server is one that refuses, unless a test gives another. */
function environment(more: Record<string, string> = {}): NodeJS.ProcessEnv {
  return {
    PATH: process.env.PATH,
    HOME: process.env.HOME,
    PIP_NO_INDEX: "1",
    PIP_FIND_LINKS: wheels,
    PIP_CONFIG_FILE: "/dev/null",
    FLEXAE_CACHE: cache,
    FLEXAE_LIBTORCH_URL: "http://127.0.0.1:1",
    ...more,
  };
}

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function writeFolder(folder: string, files: Files): string {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    writeFileSync(path.join(folder, name), text);
  }
  return folder;
}

const torchWheel = (more?: Files, options?: Parameters<typeof writeWheel>[4]) =>
  writeWheel(
    wheels,
    "torch",
    LIBTORCH_VERSION,
    libtorchFiles("torch/", LIBTORCH_VERSION, more),
    options,
  );

/** What lies in the cache besides finished libtorches. */
const leftovers = () =>
  existsSync(path.join(cache, "libtorch"))
    ? readdirSync(path.join(cache, "libtorch")).filter((name) => name.startsWith("."))
    : [];

const resolve = (env = environment(), gpu = false) => resolveLibtorch({ env, gpu });

describe("LIBTORCH", () => {
  test("comes first, whatever the cache and pip have", async () => {
    torchWheel();
    await resolve();
    const given = writeFolder(path.join(work, "given"), libtorchFiles("", "2.11.2"));
    const found = await resolve(environment({ LIBTORCH: given }));
    expect(found).toMatchObject({
      folder: given,
      version: "2.11.2",
      source: "LIBTORCH",
      fetched: false,
    });
  });

  test("set to something else stops set-up, and says what is wrong", async () => {
    torchWheel();
    const folder = writeFolder(path.join(work, "given"), libtorchFiles("", "2.13.0"));
    rmSync(path.join(folder, "lib", "libc10.so"));
    await expect(resolve(environment({ LIBTORCH: folder }))).rejects.toThrow(
      /lib\/libc10\.so is missing.*\n.*unset LIBTORCH/,
    );
  });

  test.each(["2.10.0", "2.15.0", "1.13.1"])("of version %s is refused", async (version) => {
    const folder = writeFolder(path.join(work, "given"), libtorchFiles("", version));
    await expect(resolve(environment({ LIBTORCH: folder }))).rejects.toThrow(
      `it is version ${version}`,
    );
  });
});

describe("pip", () => {
  test("gives lib/, include/ and share/ only, once for all later set-ups", async () => {
    const wheel = torchWheel();
    const first = await resolve();
    expect(first).toMatchObject({
      version: LIBTORCH_VERSION,
      kind: "cpu",
      source: "pip",
      fetched: true,
    });
    expect(readdirSync(first.folder).sort()).toEqual(["include", "lib", "share"]);
    expect(readdirSync(path.join(first.folder, "lib")).sort()).toEqual([
      "libc10.so",
      "libgomp.so.1",
      "libtorch_cpu.so",
    ]);
    expect(inspectLibtorch(first.folder)).toEqual({ version: LIBTORCH_VERSION });
    expect(leftovers()).toEqual([]);

    rmSync(wheel);
    const second = await resolve();
    expect(second).toMatchObject({ folder: first.folder, fetched: false });
  });

  test("giving a CUDA build brings the two libraries it needs on the CPU, and not the rest", async () => {
    torchWheel(
      {
        "lib/libtorch_cuda.so": "cuda",
        "lib/libtorch.so": "both",
        "lib/libc10_cuda.so": "c10 cuda",
      },
      {
        requires: [
          'cuda-toolkit[cublas,cudart,cupti]==13.0.3; platform_system == "Linux"',
          'nvidia-cudnn-cu13==9.24.0; platform_system == "Linux"',
          'pyyaml; extra == "pyyaml"',
        ],
      },
    );
    writeWheel(
      wheels,
      "cuda-toolkit",
      "13.0.3",
      {},
      {
        requires: [
          'nvidia-cublas==13.1.0; extra == "cublas"',
          'nvidia-cuda-runtime==13.0.96; extra == "cudart"',
          'nvidia-cuda-cupti==13.0.85; extra == "cupti"',
        ],
      },
    );
    const library = (name: string): Files => ({
      [`nvidia/cu13/lib/${name}`]: name,
      "nvidia/__init__.py": "",
    });
    writeWheel(wheels, "nvidia-cuda-runtime", "13.0.96", library("libcudart.so.13"));
    writeWheel(wheels, "nvidia-cuda-cupti", "13.0.85", library("libcupti.so.13"));
    writeWheel(wheels, "nvidia-cublas", "13.1.0", library("libcublas.so.13"));
    writeWheel(wheels, "nvidia-cudnn-cu13", "9.24.0", library("libcudnn.so.9"));

    const forCpu = await resolve();
    expect(forCpu.kind).toBe("cuda-libraries-for-cpu");
    const beside = (folder: string) =>
      readdirSync(path.join(folder, "..", "nvidia", "cu13", "lib")).sort();
    expect(beside(forCpu.folder)).toEqual(["libcudart.so.13", "libcupti.so.13"]);
    expect(existsSync(path.join(forCpu.folder, "lib", "libtorch_cuda.so"))).toBe(false);

    const forGpu = await resolve(environment(), true);
    expect(forGpu.kind).toBe("cuda");
    expect(beside(forGpu.folder)).toEqual([
      "libcublas.so.13",
      "libcudart.so.13",
      "libcudnn.so.9",
      "libcupti.so.13",
    ]);
    expect(existsSync(path.join(forGpu.folder, "lib", "libtorch_cuda.so"))).toBe(true);
  });

  test("giving a file that is not what RECORD says is refused, and leaves nothing", async () => {
    torchWheel({}, { record: { "torch/lib/libc10.so": "what it was before" } });
    await expect(resolve()).rejects.toThrow(
      /torch\/lib\/libc10\.so does not match its recorded SHA-256/,
    );
    expect(readdirSync(path.join(cache, "libtorch"))).toEqual([]);
  });

  test("giving a wheel cut short is refused, and leaves nothing", async () => {
    const wheel = torchWheel();
    truncateSync(wheel, readFileSync(wheel).length - 400);
    await expect(resolve()).rejects.toThrow(/No libtorch 2\.13\.0 could be fetched/);
    expect(readdirSync(path.join(cache, "libtorch"))).toEqual([]);
  });

  test("two set-ups at once both end with the same whole libtorch", async () => {
    torchWheel();
    const found = await Promise.all([resolve(), resolve(), resolve()]);
    expect(new Set(found.map(({ folder }) => folder)).size).toBe(1);
    expect(inspectLibtorch(found[0]?.folder ?? "")).toEqual({ version: LIBTORCH_VERSION });
    expect(leftovers()).toEqual([]);
    expect((await resolve()).fetched).toBe(false);
  });
});

describe("the cache", () => {
  test("is not believed when a file is missing or of another length", async () => {
    torchWheel();
    const { folder } = await resolve();
    const library = path.join(folder, "lib", "libtorch_cpu.so");
    const length = readFileSync(library).length;

    truncateSync(library, 10);
    expect(await resolve()).toMatchObject({ folder, fetched: true });
    expect(readFileSync(library).length).toBe(length);

    rmSync(path.join(folder, "include", "ATen", "ATen.h"));
    expect(await resolve()).toMatchObject({ folder, fetched: true });
    expect((await resolve()).fetched).toBe(false);
  });

  test("has no use for what an interrupted set-up left", async () => {
    torchWheel();
    const store = path.join(cache, "libtorch");
    writeFolder(
      path.join(store, ".tmp-killed", "out", "torch"),
      libtorchFiles("", LIBTORCH_VERSION),
    );
    writeFolder(
      path.join(store, `${LIBTORCH_VERSION}-cpu-cpu`, "torch"),
      libtorchFiles("", LIBTORCH_VERSION),
    );
    expect((await resolve()).fetched).toBe(true);
  });
});

describe("the official archive", () => {
  const name = `/libtorch/cpu/libtorch-shared-with-deps-${LIBTORCH_VERSION}%2Bcpu.zip`;

  test("is fetched from the address given when pip has nothing", async () => {
    const asked: string[] = [];
    const url = await serve((request, response) => {
      asked.push(request.url ?? "");
      response.end(makeArchive(LIBTORCH_VERSION));
    });
    const found = await resolve(environment({ FLEXAE_LIBTORCH_URL: `${url}/libtorch/` }));
    expect(asked).toEqual([name]);
    expect(found).toMatchObject({
      source: "official archive",
      version: `${LIBTORCH_VERSION}+cpu`,
      fetched: true,
    });
    expect(inspectLibtorch(found.folder)).toEqual({ version: LIBTORCH_VERSION });
    expect(leftovers()).toEqual([]);
  });

  test("is asked for again when the connection breaks, and never taken half", async () => {
    const archive = makeArchive(LIBTORCH_VERSION);
    let tries = 0;
    const url = await serve((_request, response) => {
      response.writeHead(200, { "content-length": archive.length });
      if (++tries < 3) {
        response.write(archive.subarray(0, archive.length / 2), () => response.destroy());
      } else {
        response.end(archive);
      }
    });
    expect((await resolve(environment({ FLEXAE_LIBTORCH_URL: url }))).fetched).toBe(true);
    expect(tries).toBe(3);
  });

  test("that never comes whole fails by name, and leaves nothing", async () => {
    const archive = makeArchive(LIBTORCH_VERSION);
    const url = await serve((_request, response) => {
      response.writeHead(200, { "content-length": archive.length });
      response.write(archive.subarray(0, 100), () => response.destroy());
    });
    await expect(resolve(environment({ FLEXAE_LIBTORCH_URL: url }))).rejects.toThrow(
      /pip: .*official archive: Cannot download http:\/\/127\.0\.0\.1.*Set LIBTORCH/s,
    );
    expect(readdirSync(path.join(cache, "libtorch"))).toEqual([]);
  });

  test("sent short without a length is recognized by its missing listing", async () => {
    const archive = makeArchive(LIBTORCH_VERSION);
    const url = await serve((_request, response) => {
      response.write(archive.subarray(0, archive.length - 30));
      response.end();
    });
    await expect(resolve(environment({ FLEXAE_LIBTORCH_URL: url }))).rejects.toThrow(
      /its listing is missing/,
    );
    expect(readdirSync(path.join(cache, "libtorch"))).toEqual([]);
  });

  test("with a flipped bit in a library is refused", async () => {
    const archive = makeArchive(LIBTORCH_VERSION);
    const at = archive.indexOf("libtorch_cpu.so") + "libtorch_cpu.so".length + 20;
    archive.writeUInt8(archive.readUInt8(at) ^ 0x10, at);
    const url = await serve((_request, response) => response.end(archive));
    await expect(resolve(environment({ FLEXAE_LIBTORCH_URL: url }))).rejects.toThrow(
      /libtorch_cpu\.so (cannot be unpacked|does not match its checksum)/,
    );
    expect(readdirSync(path.join(cache, "libtorch"))).toEqual([]);
  });
});
