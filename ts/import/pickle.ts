/**
 * What `torch.save` writes of tensors: a pickle, read as data. The pickle asks for functions by name;
 * the few that rebuild tensors are known here, and any other ends the reading. Nothing is called.
 */

/** Why a pickle cannot be read; the reader names the file. */
export class PickleError extends Error {}

/** A tensor, as a part of a storage. */
export interface PickledTensor {
  /** Of its storage's entry in the zip file. */
  key: string;
  dtype: "F16" | "BF16" | "F32" | "F64" | "I64" | "other";
  /** In numbers, from the storage's first. */
  offset: number;
  shape: number[];
  stride: number[];
}

/** Text, numbers, tuples and lists, mappings, tensors, and names of functions. */
type Value =
  | string
  | number
  | boolean
  | null
  | Value[]
  | Map<Value, Value>
  | Named
  | { tensor: PickledTensor }
  | { storage: Pick<PickledTensor, "key" | "dtype"> };

class Named {
  constructor(readonly name: string) {}
}

/** Numbers of other kinds are counters of some module, and never read. */
const STORAGES: Record<string, PickledTensor["dtype"]> = {
  "torch FloatStorage": "F32",
  "torch HalfStorage": "F16",
  "torch BFloat16Storage": "BF16",
  "torch DoubleStorage": "F64",
  "torch LongStorage": "I64",
  "torch IntStorage": "other",
  "torch ShortStorage": "other",
  "torch CharStorage": "other",
  "torch ByteStorage": "other",
  "torch BoolStorage": "other",
};

/** What is asked for, and nothing more. */
const KNOWN = [
  "collections OrderedDict",
  "torch._utils _rebuild_tensor_v2",
  "torch._utils _rebuild_parameter",
  ...Object.keys(STORAGES),
];

const MOST_VALUES = 1_000_000;
/** Of a state dict it is kilobytes. */
const LARGEST = 1 << 24;

const isSizes = (value: unknown): value is number[] =>
  Array.isArray(value) &&
  value.length <= 8 &&
  value.every((v) => Number.isSafeInteger(v) && v >= 0);

class Reader {
  #bytes: Buffer;
  #at = 0;
  #stack: Value[] = [];
  #marks: number[] = [];
  #memo = new Map<number, Value>();

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  #take(count: number): Buffer {
    if (!(count >= 0 && count <= this.#bytes.length - this.#at))
      throw new PickleError("it is cut off");
    const taken = this.#bytes.subarray(this.#at, this.#at + count);
    this.#at += count;
    return taken;
  }

  #line(): string {
    const end = this.#bytes.indexOf(10, this.#at);
    if (end < 0) throw new PickleError("it is cut off");
    const text = this.#take(end - this.#at).toString();
    this.#at++;
    return text;
  }

  #pop(): Value {
    const value = this.#stack.pop();
    if (value === undefined) throw new PickleError("it is damaged");
    return value;
  }

  #top(): Value {
    const value = this.#pop();
    this.#stack.push(value);
    return value;
  }

  #push(value: Value): void {
    if (this.#stack.length >= MOST_VALUES) throw new PickleError("it is too large");
    this.#stack.push(value);
  }

  /** What lies above the last mark. */
  #sinceMark(): Value[] {
    const mark = this.#marks.pop();
    if (mark === undefined || mark > this.#stack.length) throw new PickleError("it is damaged");
    return this.#stack.splice(mark);
  }

  #set(items: readonly Value[]): void {
    const target = this.#top();
    if (!(target instanceof Map) || items.length % 2 !== 0) throw new PickleError("it is damaged");
    for (let i = 0; i < items.length; i += 2) target.set(items[i] as Value, items[i + 1] as Value);
  }

  #append(items: readonly Value[]): void {
    const target = this.#top();
    if (!Array.isArray(target)) throw new PickleError("it is damaged");
    if (target.length + items.length > MOST_VALUES) throw new PickleError("it is too large");
    for (const item of items) target.push(item);
  }

  #named(module: Value, name: Value): void {
    if (typeof module !== "string" || typeof name !== "string") {
      throw new PickleError("it is damaged");
    }
    const full = `${module} ${name}`;
    if (!KNOWN.includes(full)) {
      throw new PickleError(
        `it asks for ${full.slice(0, 80).replace(" ", ".")}, and code of a file is never run`,
      );
    }
    this.#push(new Named(full));
  }

  #storage(id: Value): Value {
    if (!Array.isArray(id) || id[0] !== "storage" || !(id[1] instanceof Named)) {
      throw new PickleError("it is damaged");
    }
    const dtype = STORAGES[id[1].name];
    if (dtype === undefined || typeof id[2] !== "string") throw new PickleError("it is damaged");
    return { storage: { key: id[2], dtype } };
  }

  #reduce(): void {
    const args = this.#pop();
    const callee = this.#pop();
    if (!(callee instanceof Named) || !Array.isArray(args)) throw new PickleError("it is damaged");
    const [first, offset, shape, stride] = args;
    if (callee.name === "collections OrderedDict" && args.length === 0) {
      this.#push(new Map());
    } else if (callee.name === "torch._utils _rebuild_parameter" && first !== undefined) {
      this.#push(first);
    } else if (
      callee.name === "torch._utils _rebuild_tensor_v2" &&
      typeof first === "object" &&
      first !== null &&
      "storage" in first &&
      isSizes([offset]) &&
      isSizes(shape) &&
      isSizes(stride) &&
      shape.length === stride.length
    ) {
      this.#push({ tensor: { ...first.storage, offset: offset as number, shape, stride } });
    } else {
      throw new PickleError("it is damaged");
    }
  }

  /** An integer of any length, little-endian, in two's complement. */
  #long(): number {
    const bytes = this.#take(this.#take(1).readUInt8());
    let value = 0n;
    for (const [i, byte] of bytes.entries()) value |= BigInt(byte) << BigInt(8 * i);
    return Number(BigInt.asIntN(8 * bytes.length, value));
  }

  #memoize(key: number): void {
    if (this.#memo.size >= MOST_VALUES) throw new PickleError("it is too large");
    this.#memo.set(key, this.#top());
  }

  #recall(key: number): void {
    const value = this.#memo.get(key);
    if (value === undefined) throw new PickleError("it is damaged");
    this.#push(value);
  }

  /** One operation; Python's pickletools.py describes them. False at the end. */
  #step(): boolean {
    const code = this.#take(1).readUInt8();
    switch (String.fromCharCode(code)) {
      case "(":
        if (this.#marks.length >= MOST_VALUES) throw new PickleError("it is too large");
        this.#marks.push(this.#stack.length);
        return true;
      case "}":
        this.#push(new Map());
        return true;
      case "]":
      case ")":
        this.#push([]);
        return true;
      case "t":
      case "l":
        this.#push(this.#sinceMark());
        return true;
      case "\x85":
      case "\x86":
      case "\x87": {
        const count = code - 0x84;
        if (this.#stack.length < count) throw new PickleError("it is damaged");
        this.#push(this.#stack.splice(this.#stack.length - count));
        return true;
      }
      case "X":
        this.#push(this.#take(this.#take(4).readUInt32LE()).toString());
        return true;
      case "\x8c":
        this.#push(this.#take(this.#take(1).readUInt8()).toString());
        return true;
      case "J":
        this.#push(this.#take(4).readInt32LE());
        return true;
      case "K":
        this.#push(this.#take(1).readUInt8());
        return true;
      case "M":
        this.#push(this.#take(2).readUInt16LE());
        return true;
      case "\x8a":
        this.#push(this.#long());
        return true;
      case "G":
        this.#push(this.#take(8).readDoubleBE());
        return true;
      case "N":
        this.#push(null);
        return true;
      case "\x88":
      case "\x89":
        this.#push(code === 0x88);
        return true;
      case "c":
        this.#named(this.#line(), this.#line());
        return true;
      case "\x93": {
        const name = this.#pop();
        this.#named(this.#pop(), name);
        return true;
      }
      case "Q":
        this.#push(this.#storage(this.#pop()));
        return true;
      case "R":
        this.#reduce();
        return true;
      case "b":
        // Attributes of a dictionary, such as the versions of modules.
        this.#pop();
        if (!(this.#top() instanceof Map)) throw new PickleError("it is damaged");
        return true;
      case "s": {
        const value = this.#pop();
        this.#set([this.#pop(), value]);
        return true;
      }
      case "u":
        this.#set(this.#sinceMark());
        return true;
      case "a":
        this.#append([this.#pop()]);
        return true;
      case "e":
        this.#append(this.#sinceMark());
        return true;
      case "q":
        this.#memoize(this.#take(1).readUInt8());
        return true;
      case "r":
        this.#memoize(this.#take(4).readUInt32LE());
        return true;
      case "\x94":
        this.#memoize(this.#memo.size);
        return true;
      case "h":
        this.#recall(this.#take(1).readUInt8());
        return true;
      case "j":
        this.#recall(this.#take(4).readUInt32LE());
        return true;
      case "\x80":
        this.#take(1);
        return true;
      case "\x95":
        this.#take(8);
        return true;
      case ".":
        return false;
      default:
        throw new PickleError(`it has an operation ${code}, which tensors do not need`);
    }
  }

  read(): Value {
    while (this.#step());
    return this.#pop();
  }
}

/** Tensors by their names, in the order in which the file has them. */
export type PickledState = Map<string, PickledTensor>;

/**
 * The tensors of a state dict, or of the one that a checkpoint has under `state_dict` or `model`.
 *
 * @throws PickleError if it is none, is damaged, or asks for code.
 */
export function readStateDict(pickle: Uint8Array): PickledState {
  if (pickle.length > LARGEST) throw new PickleError("it is too large");
  let value = new Reader(pickle).read();
  for (const name of ["state_dict", "model_state_dict", "model"]) {
    if (!(value instanceof Map)) break;
    const inner: Value | undefined = value.get(name);
    if (inner instanceof Map) value = inner;
  }
  if (!(value instanceof Map)) throw new PickleError("it is no state dict");
  const tensors: PickledState = new Map();
  for (const [name, entry] of value) {
    const isTensor = typeof entry === "object" && entry !== null && "tensor" in entry;
    if (typeof name === "string" && isTensor) tensors.set(name, entry.tensor);
  }
  if (tensors.size === 0) throw new PickleError("it holds no tensors");
  return tensors;
}
