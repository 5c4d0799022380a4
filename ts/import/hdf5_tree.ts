/** What an HDF5 file holds, as plain values that go from thread to thread. */

/** A dataset: its sizes, and its values if they are numbers that a weight can be. */
export interface TreeDataset {
  shape: number[];
  /** Null if they are not floats, or the file is too small for them. */
  values: Float32Array | null;
}

/** All of a file, by paths such as `model_weights/conv2d_1/kernel:0`; the root's is empty. */
export interface Hdf5Tree {
  /** Names in each group. */
  groups: Map<string, string[]>;
  /** Texts, by the path of the group, a line break and the attribute's name. */
  attributes: Map<string, string | string[]>;
  datasets: Map<string, TreeDataset>;
}

export const attributeKey = (group: string, name: string) => `${group}\n${name}`;

/** An attribute as the library gives it, if it is a text or several. */
export function textOf(value: unknown): string | string[] | undefined {
  if (typeof value === "string") return value;
  if (value instanceof Uint8Array) return new TextDecoder().decode(value);
  return Array.isArray(value) ? value.map(String) : undefined;
}
