// Makes small wheels and libtorch archives: real files of the real formats, with a few bytes in each.

import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { crc32, deflateRawSync } from "node:zlib";

export type Files = Record<string, string>;

/** A zip archive of these files, compressed. */
export function makeZip(files: Files): Buffer {
  const parts: Buffer[] = [];
  const listing: Buffer[] = [];
  let offset = 0;
  for (const [name, text] of Object.entries(files)) {
    const data = Buffer.from(text);
    const packed = deflateRawSync(data);
    const bytes = Buffer.from(name);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(8, 4);
    common.writeUInt32LE(crc32(data), 10);
    common.writeUInt32LE(packed.length, 14);
    common.writeUInt32LE(data.length, 18);
    common.writeUInt16LE(bytes.length, 22);
    const local = Buffer.concat([Buffer.from("PK\x03\x04"), common, bytes, packed]);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(offset, 10);
    listing.push(Buffer.concat([Buffer.from("PK\x01\x02\x14\x00"), common, rest, bytes]));
    parts.push(local);
    offset += local.length;
  }
  const central = Buffer.concat(listing);
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06", "latin1");
  end.writeUInt16LE(listing.length, 8);
  end.writeUInt16LE(listing.length, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, central, end]);
}

/** The files of a libtorch, below `prefix`. */
export function libtorchFiles(prefix: string, version: string, more: Files = {}): Files {
  const [major, minor, patch] = version.split(".");
  const files: Files = {
    "lib/libtorch_cpu.so": `torch_cpu of ${version} `.repeat(1000),
    "lib/libc10.so": "c10",
    "lib/libgomp.so.1": "gomp",
    "lib/libtorch_python.so": "not wanted",
    "lib/libtorchbind_test.so": "not wanted",
    "include/ATen/ATen.h": "#pragma once\n",
    "include/torch/headeronly/version.h":
      `#define TORCH_VERSION_MAJOR ${major}\n` +
      `#define TORCH_VERSION_MINOR ${minor}\n` +
      `#define TORCH_VERSION_PATCH ${patch}\n`,
    "share/cmake/Torch/TorchConfig.cmake": "# cmake\n",
    "nn/__init__.py": "not wanted",
    ...more,
  };
  return Object.fromEntries(Object.entries(files).map(([name, text]) => [prefix + name, text]));
}

/** The official archive, as the server would have it. */
export function makeArchive(version: string): Buffer {
  return makeZip(libtorchFiles("libtorch/", version));
}

/** A wheel in `folder`. `record` may falsify what RECORD says of a file. */
export function writeWheel(
  folder: string,
  name: string,
  version: string,
  files: Files,
  options: { requires?: string[]; record?: Files } = {},
): string {
  const stem = name.replaceAll("-", "_");
  const info = `${stem}-${version}.dist-info`;
  const requires = (options.requires ?? []).map((line) => `Requires-Dist: ${line}\n`).join("");
  const extras = (options.requires ?? []).flatMap(
    (line) => /extra == "(.+)"/.exec(line)?.[1] ?? [],
  );
  const provides = extras.map((extra) => `Provides-Extra: ${extra}\n`).join("");
  const all: Files = {
    ...files,
    [`${info}/METADATA`]: `Metadata-Version: 2.1\nName: ${name}\nVersion: ${version}\n${provides}${requires}`,
    [`${info}/WHEEL`]:
      "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\nTag: py3-none-any\n",
  };
  const lines = Object.entries({ ...all, ...options.record }).map(([file, text]) => {
    const digest = createHash("sha256").update(text).digest("base64url");
    return `${file},sha256=${digest},${Buffer.byteLength(text)}`;
  });
  all[`${info}/RECORD`] = `${lines.join("\n")}\n${info}/RECORD,,\n`;
  const file = path.join(folder, `${stem}-${version}-py3-none-any.whl`);
  writeFileSync(file, makeZip(all));
  return file;
}
