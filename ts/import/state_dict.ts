/** Tensors by name, as safetensors files and `torch.save` have them. */
import { awaitAddon } from "../addon/loader.js";
import type { PlannedLayer } from "../addon/types.js";
import { fromHalf } from "../export/half.js";
import type { Archive } from "./archive.js";
import { modelError, type StoredTensor, type StoredWeights, shown } from "./foreign.js";
import { type PickledTensor, PickleError, readStateDict } from "./pickle.js";

/** Tensors by name. */
export interface StateDict {
  readonly format: string;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** Whether their order is that of the layers. */
  readonly isOrdered: boolean;
}

/** Reads a safetensors file. Every size in it is checked. */
export async function readSafetensors(path: string): Promise<StateDict> {
  const { tensors } = await awaitAddon((addon) =>
    addon.readTensors(path, { requireChecksum: false }),
  );
  return {
    format: "safetensors",
    // The library that others write such files with sorts them.
    isOrdered: false,
    tensors: new Map(
      Object.entries(tensors).map(([name, { shape, values }]) => [
        name,
        {
          shape,
          read: () => (values instanceof Float32Array ? values : Float32Array.from(values)),
        },
      ]),
    ),
  };
}

const SIZES = { F16: 2, BF16: 2, F32: 4, F64: 8, I64: 8, other: 1 } as const;

function numberAt(view: DataView, dtype: PickledTensor["dtype"], at: number): number {
  switch (dtype) {
    case "F16":
      return fromHalf(view.getUint16(2 * at, true));
    case "BF16": {
      const one = new DataView(new ArrayBuffer(4));
      one.setUint32(0, view.getUint16(2 * at, true) << 16);
      return one.getFloat32(0);
    }
    case "F32":
      return view.getFloat32(4 * at, true);
    case "F64":
      return view.getFloat64(8 * at, true);
    case "I64":
      return Number(view.getBigInt64(8 * at, true));
    case "other":
      return Number.NaN;
  }
}

function readTensor(path: string, tensor: PickledTensor, bytes: Uint8Array): Float32Array {
  const { dtype, offset, shape, stride } = tensor;
  if (dtype === "other") throw modelError(path, "holds a weight of numbers that are no floats");
  const count = shape.reduce((a, b) => a * b, 1);
  const last = shape.reduce((at, size, d) => at + (size - 1) * (stride[d] as number), offset);
  if (count > 0 && (last + 1) * SIZES[dtype] > bytes.length) {
    throw modelError(path, "is damaged: a tensor reaches beyond its storage");
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values = new Float32Array(count);
  const index = shape.map(() => 0);
  let at = offset;
  for (let i = 0; i < count; i++) {
    values[i] = numberAt(view, dtype, at);
    // The next one in row-major order.
    for (let d = shape.length - 1; d >= 0; d--) {
      at += stride[d] as number;
      index[d] = (index[d] as number) + 1;
      if ((index[d] as number) < (shape[d] as number)) break;
      at -= (shape[d] as number) * (stride[d] as number);
      index[d] = 0;
    }
  }
  return values;
}

/** Reads what `torch.save(model.state_dict(), path)` writes. Nothing in it is executed. */
export async function readTorchState(path: string, archive: Archive): Promise<StateDict> {
  const entries = new Map<string, Uint8Array>();
  for (const name of archive.names) {
    if (!/^[^/]+\/(data\.pkl|byteorder|data\/\d+)$/.test(name)) continue;
    entries.set(name, (await archive.read(name)) as Uint8Array);
  }
  const [pickleName, pickle] = [...entries].find(([name]) => name.endsWith("/data.pkl")) ?? [];
  if (pickle === undefined || pickleName === undefined) {
    throw modelError(path, "is a zip file, but no .keras file, state dict or ae.pt");
  }
  const root = pickleName.slice(0, -"/data.pkl".length);
  const order = entries.get(`${root}/byteorder`);
  if (order !== undefined && new TextDecoder().decode(order).trim() !== "little") {
    throw modelError(path, "was written on a big-endian machine: save it on another");
  }
  let state: ReturnType<typeof readStateDict>;
  try {
    state = readStateDict(pickle);
  } catch (error) {
    if (!(error instanceof PickleError)) throw error;
    throw modelError(path, `cannot be taken: ${error.message}`);
  }
  return {
    format: "PyTorch state dict",
    isOrdered: true,
    tensors: new Map(
      [...state].map(([name, tensor]) => {
        const storage = entries.get(`${root}/data/${tensor.key}`) ?? new Uint8Array();
        return [name, { shape: tensor.shape, read: () => readTensor(path, tensor, storage) }];
      }),
    ),
  };
}

/** What PyTorch counts besides, and no network needs. */
const isCounter = (name: string) => name.endsWith("num_batches_tracked");

/** What stands before the name of every weight, such as `module.`; undefined if they do not all have it. */
function commonPrefix(names: readonly string[], wanted: readonly string[]): string | undefined {
  const first = wanted[0] as string;
  const all = new Set(names);
  return names
    .filter((name) => name.endsWith(first))
    .map((name) => name.slice(0, -first.length))
    .find((prefix) => wanted.every((name) => all.has(prefix + name)));
}

/**
 * The weights of a network among those of a file: by name, whatever stands before all names; or by
 * order and shape.
 *
 * @throws FlexaeError `FLEXAE_MODEL` naming the first that does not fit.
 */
export function matchState(
  path: string,
  { tensors, isOrdered }: StateDict,
  layers: readonly PlannedLayer[],
): StoredWeights {
  const planned = layers.flatMap(({ weights }) => weights);
  const names = [...tensors.keys()].filter((name) => !isCounter(name));
  const wanted = planned.map(({ name }) => name);
  const prefix = commonPrefix(names, wanted);
  const byOrder = prefix === undefined && isOrdered && names.length === planned.length;
  const problems: string[] = [];
  const taken: StoredWeights = {};
  for (const [i, { name, shape }] of planned.entries()) {
    const theirs = byOrder ? (names[i] as string) : `${prefix ?? ""}${name}`;
    const found = tensors.get(theirs);
    if (found === undefined) problems.push(`${name} is not in the file`);
    else if (found.shape.join() === shape.join()) taken[name] = { shape, read: found.read };
    else {
      problems.push(
        `${shown(theirs)} is ${found.shape.join("×")}, and ${shape.join("×")} is needed`,
      );
    }
  }
  const spare = names.length - planned.length;
  if (problems.length === 0 && spare > 0) {
    const known = new Set(wanted.map((name) => `${prefix}${name}`));
    problems.push(`no layer has ${names.find((name) => !known.has(name))}`);
  }
  if (problems.length === 0) return taken;
  const more = problems.length > 1 ? `, and ${problems.length - 1} more differ` : "";
  throw modelError(path, `is of another network: ${problems[0]}${more}`);
}
