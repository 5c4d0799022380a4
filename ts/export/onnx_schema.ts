/** The messages of ONNX that are written here, by the numbers of onnx.proto3 (ONNX, Apache-2.0). */
import protobuf from "protobufjs/light.js";

const { Root, Writer } = protobuf;

/** Numbers of fields that are written by hand. */
const [GRAPH, INITIALIZER, RAW_DATA] = [7, 5, 9];

/** A field, as protobufjs describes it. */
const field = (id: number, type: string) => ({ id, type });
const repeated = (id: number, type: string) => ({ id, type, rule: "repeated" });

const ROOT = Root.fromJSON({
  nested: {
    ModelProto: {
      fields: {
        irVersion: field(1, "int64"),
        producerName: field(2, "string"),
        producerVersion: field(3, "string"),
        docString: field(6, "string"),
        graph: field(GRAPH, "GraphProto"),
        opsetImport: repeated(8, "OperatorSetIdProto"),
        metadataProps: repeated(14, "StringStringEntryProto"),
      },
    },
    OperatorSetIdProto: { fields: { domain: field(1, "string"), version: field(2, "int64") } },
    StringStringEntryProto: { fields: { key: field(1, "string"), value: field(2, "string") } },
    GraphProto: {
      fields: {
        node: repeated(1, "NodeProto"),
        name: field(2, "string"),
        initializer: repeated(INITIALIZER, "TensorProto"),
        input: repeated(11, "ValueInfoProto"),
        output: repeated(12, "ValueInfoProto"),
      },
    },
    NodeProto: {
      fields: {
        input: repeated(1, "string"),
        output: repeated(2, "string"),
        name: field(3, "string"),
        opType: field(4, "string"),
        attribute: repeated(5, "AttributeProto"),
      },
    },
    AttributeProto: {
      fields: {
        name: field(1, "string"),
        f: field(2, "float"),
        i: field(3, "int64"),
        s: field(4, "bytes"),
        ints: repeated(8, "int64"),
        type: field(20, "int32"),
      },
    },
    TensorProto: {
      fields: {
        dims: repeated(1, "int64"),
        dataType: field(2, "int32"),
        name: field(8, "string"),
        rawData: field(RAW_DATA, "bytes"),
      },
    },
    ValueInfoProto: { fields: { name: field(1, "string"), type: field(2, "TypeProto") } },
    TypeProto: {
      fields: { tensorType: field(1, "Tensor") },
      nested: {
        Tensor: { fields: { elemType: field(1, "int32"), shape: field(2, "TensorShapeProto") } },
      },
    },
    TensorShapeProto: {
      fields: { dim: repeated(1, "Dimension") },
      nested: {
        Dimension: { fields: { dimValue: field(1, "int64"), dimParam: field(2, "string") } },
      },
    },
  },
});

const MODEL = ROOT.lookupType("ModelProto");
const GRAPH_TYPE = ROOT.lookupType("GraphProto");
const TENSOR = ROOT.lookupType("TensorProto");

/** TensorProto.DataType. */
export const DATA_TYPES = { float: 1, uint8: 2, int32: 6, int64: 7, float16: 10 } as const;

/** AttributeProto.AttributeType. */
export const ATTRIBUTE_TYPES = { float: 1, int: 2, string: 3, ints: 7 } as const;

/** A constant, such as a weight. */
export interface TensorProto {
  name: string;
  dataType: number;
  dims: number[];
  /** Little-endian, row-major. */
  rawData: Uint8Array;
}

/** Exactly one of the values is set, the one that `type` says. */
export interface AttributeProto {
  name: string;
  type: number;
  f?: number;
  i?: number;
  s?: Uint8Array;
  ints?: number[];
}

/** An operation. */
export interface NodeProto {
  name: string;
  opType: string;
  /** Names of what it takes; "" where an optional input is left out. */
  input: string[];
  output: string[];
  attribute: AttributeProto[];
}

/** An input or output of a graph: its name, the type of its numbers, and its sizes. */
export interface ValueInfoProto {
  name: string;
  type: {
    tensorType: {
      elemType: number;
      shape: { dim: ({ dimValue: number } | { dimParam: string })[] };
    };
  };
}

export interface ModelProto {
  irVersion: number;
  producerName: string;
  producerVersion: string;
  docString: string;
  opsetImport: { domain: string; version: number }[];
  metadataProps: { key: string; value: string }[];
  graph: {
    name: string;
    node: NodeProto[];
    initializer: TensorProto[];
    input: ValueInfoProto[];
    output: ValueInfoProto[];
  };
}

/** A field of bytes up to the bytes themselves: its number and their length. */
const fieldHead = (id: number, length: number) =>
  Writer.create()
    .uint32((id << 3) | 2)
    .uint32(length)
    .finish();

const encode = (type: protobuf.Type, message: object) =>
  type.encode(message as Record<string, unknown>).finish();

/**
 * The bytes of an `.onnx` file in pieces. Constants are pieces of their own, and not copied: they
 * may be large.
 */
export function encodePieces(model: ModelProto): Uint8Array[] {
  const { graph, ...others } = model;
  const { initializer, ...rest } = graph;
  const constants = initializer.flatMap(({ rawData, ...tensor }) => {
    const head = Buffer.concat([encode(TENSOR, tensor), fieldHead(RAW_DATA, rawData.length)]);
    return [Buffer.concat([fieldHead(INITIALIZER, head.length + rawData.length), head]), rawData];
  });
  const pieces = [encode(GRAPH_TYPE, rest), ...constants];
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  return [encode(MODEL, others), fieldHead(GRAPH, length), ...pieces];
}

/** The bytes of an `.onnx` file. */
export const encodeModel = (model: ModelProto): Uint8Array => Buffer.concat(encodePieces(model));

/**
 * Reads what {@link encodeModel} wrote. Fields that it does not know are passed over.
 * Constants stay where they are in `bytes`.
 *
 * @throws Error if it is no protobuf message.
 */
export function decodeModel(bytes: Uint8Array): ModelProto {
  const message = MODEL.decode(bytes) as unknown as ModelProto;
  const tensors = message.graph.initializer;
  // What follows turns 64-bit integers into numbers, and would copy the constants.
  const constants = tensors.map(({ rawData }) => rawData);
  for (const tensor of tensors) tensor.rawData = new Uint8Array(0);
  const plain = MODEL.toObject(message as never, {
    longs: Number,
    arrays: true,
  }) as unknown as ModelProto;
  for (const [i, tensor] of plain.graph.initializer.entries()) {
    tensor.rawData = constants[i] as Uint8Array;
  }
  return plain;
}
