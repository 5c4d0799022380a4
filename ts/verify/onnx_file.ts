/** An `.onnx` file as it lies on the disk: its graph, and its constants when they are wanted. */
import type { FileHandle } from "node:fs/promises";
import { decodeModel, type ModelProto, type ValueInfoProto } from "../export/onnx_schema.js";
import { fromBytes, type Tensor, typeOf } from "./tensor.js";

/** Numbers of onnx.proto3: of the model its graph, of a graph a constant, of that its bytes. */
const [GRAPH, INITIALIZER, RAW_DATA, TENSOR_NAME] = [7, 5, 9, 8];

/** Bytes of a constant from which on they are left on the disk. */
const LARGE = 1 << 12;

/** A field of a protobuf message: where its tag, its contents and the next field begin. */
interface Field {
  id: number;
  begin: number;
  content: number;
  end: number;
}

/** Reads numbers of variable length; what is read at once serves those that follow. */
class Fields {
  #window = Buffer.alloc(1 << 12);
  #begin = 0;
  #length = 0;

  constructor(readonly handle: FileHandle) {}

  async #byte(at: number): Promise<number> {
    if (at < this.#begin || at >= this.#begin + this.#length) {
      this.#begin = at;
      this.#length = (await this.handle.read(this.#window, 0, this.#window.length, at)).bytesRead;
      if (this.#length === 0) throw new Error("it ends within a field");
    }
    return this.#window[at - this.#begin] as number;
  }

  async #number(at: number): Promise<[value: number, next: number]> {
    let value = 0;
    for (let i = 0; i < 10; i++) {
      const byte = await this.#byte(at + i);
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return [value, at + i + 1];
    }
    throw new Error("a number in it has no end");
  }

  /** The fields of the message between two places. */
  async *between(begin: number, end: number): AsyncGenerator<Field> {
    for (let at = begin; at < end; ) {
      const [tag, content] = await this.#number(at);
      const field: Field = { id: Math.floor(tag / 8), begin: at, content, end: content };
      const wire = tag % 8;
      if (wire === 0) [, field.end] = await this.#number(content);
      else if (wire === 1) field.end += 8;
      else if (wire === 5) field.end += 4;
      else if (wire === 2) {
        const [length, from] = await this.#number(content);
        field.content = from;
        field.end = from + length;
      } else throw new Error(`it has a field of the kind ${wire}`);
      if (field.end > end) throw new Error("one of its fields is longer than what it is in");
      yield field;
      at = field.end;
    }
  }

  async bytes(from: number, to: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(to - from);
    for (let at = 0; at < bytes.length; ) {
      const { bytesRead } = await this.handle.read(bytes, at, bytes.length - at, from + at);
      if (bytesRead === 0) throw new Error("it ends too early");
      at += bytesRead;
    }
    return bytes;
  }
}

const lengthOf = (field: Field) => field.end - field.content;

/** A number of variable length, as protobuf writes it. */
function varint(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...bytes, rest];
    bytes.push((rest % 128) | 0x80);
  }
}

const nested = (id: number, bytes: Uint8Array) =>
  Buffer.concat([Buffer.from([...varint(8 * id + 2), ...varint(bytes.length)]), bytes]);

/** A file's graph. */
export class OnnxFile {
  private constructor(
    /** What the file says, but for the bytes of large constants. */
    readonly model: ModelProto,
    readonly fields: Fields,
    readonly places: ReadonlyMap<string, [from: number, to: number]>,
  ) {}

  /** @throws Error if it is no such file. */
  static async read(handle: FileHandle): Promise<OnnxFile> {
    const fields = new Fields(handle);
    const places = new Map<string, [number, number]>();
    const { size } = await handle.stat();
    const model: Uint8Array[] = [];
    const copy = (field: Field) => fields.bytes(field.begin, field.end);
    for await (const field of fields.between(0, size)) {
      if (field.id !== GRAPH) {
        model.push(await copy(field));
        continue;
      }
      const graph: Uint8Array[] = [];
      for await (const part of fields.between(field.content, field.end)) {
        if (part.id !== INITIALIZER || lengthOf(part) < LARGE) {
          graph.push(await copy(part));
          continue;
        }
        const tensor: Uint8Array[] = [];
        let name = "";
        let place: [number, number] | undefined;
        for await (const piece of fields.between(part.content, part.end)) {
          if (piece.id === RAW_DATA) place = [piece.content, piece.end];
          else tensor.push(await copy(piece));
          if (piece.id === TENSOR_NAME) {
            name = Buffer.from(await fields.bytes(piece.content, piece.end)).toString();
          }
        }
        if (place !== undefined) places.set(name, place);
        graph.push(nested(INITIALIZER, Buffer.concat(tensor)));
      }
      model.push(nested(GRAPH, Buffer.concat(graph)));
    }
    return new OnnxFile(decodeModel(Buffer.concat(model)), fields, places);
  }

  /** What the graph takes. */
  get input(): ValueInfoProto {
    const [input, ...others] = this.model.graph.input;
    if (input === undefined || others.length > 0) throw new Error("it does not take one tensor");
    return input;
  }

  /** A constant; undefined if there is none of that name. */
  async constant(name: string): Promise<Tensor | undefined> {
    const found = this.model.graph.initializer.find((tensor) => tensor.name === name);
    if (found === undefined) return undefined;
    const place = this.places.get(name);
    // A copy begins where any number may.
    const bytes =
      place === undefined
        ? Uint8Array.from(found.rawData ?? [])
        : await this.fields.bytes(...place);
    return fromBytes(typeOf(found.dataType), found.dims, bytes);
  }
}
