/** First bytes by which files are told. */

/** Formats of images, as `native/data/formats` decodes them. */
const IMAGES: [ending: string, begins: (head: Buffer) => boolean][] = [
  [".png", (head) => head.toString("latin1", 0, 4) === "\x89PNG"],
  [".jpg", (head) => head[0] === 0xff && head[1] === 0xd8 && head[2] === 0xff],
  [
    ".webp",
    (head) => head.toString("latin1", 0, 4) === "RIFF" && head.toString("latin1", 8, 12) === "WEBP",
  ],
  [".tif", (head) => ["II*\0", "MM\0*"].includes(head.toString("latin1", 0, 4))],
  [".pgm", (head) => /^P[25]\s/.test(head.toString("latin1", 0, 3))],
  [".ppm", (head) => /^P[36]\s/.test(head.toString("latin1", 0, 3))],
  [".pbm", (head) => /^P[14]\s/.test(head.toString("latin1", 0, 3))],
  [".bmp", (head) => head.toString("latin1", 0, 2) === "BM"],
];

/** The ending that fits an image's bytes; "" for what is none. */
export function extensionOf(bytes: Uint8Array): string {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(16, bytes.length));
  return IMAGES.find(([, begins]) => begins(head))?.[0] ?? "";
}

export const isGzip = (head: Buffer): boolean => head[0] === 0x1f && head[1] === 0x8b;

export const parquetMagic = (head: Buffer): boolean => head.toString("latin1", 0, 4) === "PAR1";

/** What else people pack with, and a remedy is known for. */
export const UNREADABLE: [name: string, begins: (head: Buffer) => boolean][] = [
  ["zstd", (head) => head.readUInt32LE(0) === 0xfd2fb528],
  ["xz", (head) => head.toString("latin1", 0, 6) === "\xfd7zXZ\0"],
  ["bzip2", (head) => head.toString("latin1", 0, 3) === "BZh"],
  ["7-Zip", (head) => head.toString("latin1", 0, 4) === "7z\xbc\xaf"],
  ["RAR", (head) => head.toString("latin1", 0, 4) === "Rar!"],
];
