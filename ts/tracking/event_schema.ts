/** The messages of TensorBoard that are written here, by the numbers of its protos (Apache-2.0). */
import protobuf from "protobufjs/light.js";

/** A field, as protobufjs describes it. */
const field = (id: number, type: string) => ({ id, type });
const repeated = (id: number, type: string) => ({ id, type, rule: "repeated" });

const ROOT = protobuf.Root.fromJSON({
  nested: {
    Event: {
      fields: {
        wallTime: field(1, "double"),
        step: field(2, "int64"),
        fileVersion: field(3, "string"),
        summary: field(5, "Summary"),
        sessionLog: field(7, "SessionLog"),
      },
    },
    SessionLog: { fields: { status: field(1, "int32") } },
    Summary: { fields: { value: repeated(1, "Value") } },
    Value: {
      fields: {
        tag: field(1, "string"),
        simpleValue: field(2, "float"),
        image: field(4, "Image"),
        tensor: field(8, "TensorProto"),
        metadata: field(9, "SummaryMetadata"),
      },
    },
    Image: {
      fields: {
        height: field(1, "int32"),
        width: field(2, "int32"),
        colorspace: field(3, "int32"),
        encodedImageString: field(4, "bytes"),
      },
    },
    TensorProto: {
      fields: {
        dtype: field(1, "int32"),
        tensorShape: field(2, "TensorShapeProto"),
        stringVal: repeated(8, "bytes"),
      },
    },
    TensorShapeProto: { fields: { dim: repeated(2, "Dim") } },
    Dim: { fields: { size: field(1, "int64") } },
    SummaryMetadata: {
      fields: { pluginData: field(1, "PluginData"), dataClass: field(4, "int32") },
    },
    PluginData: { fields: { pluginName: field(1, "string"), content: field(2, "bytes") } },
    HParamsPluginData: {
      fields: {
        version: field(1, "int32"),
        sessionStartInfo: field(3, "SessionStartInfo"),
        sessionEndInfo: field(4, "SessionEndInfo"),
      },
    },
    SessionStartInfo: {
      fields: {
        // The types of protobufjs know of no maps here; it reads them.
        hparams: { keyType: "string", type: "HParam", id: 1 } as protobuf.IField,
        startTimeSecs: field(5, "double"),
      },
    },
    SessionEndInfo: { fields: { status: field(1, "int32"), endTimeSecs: field(2, "double") } },
    // google.protobuf.Value.
    HParam: {
      oneofs: { kind: { oneof: ["numberValue", "stringValue", "boolValue"] } },
      fields: {
        numberValue: field(2, "double"),
        stringValue: field(3, "string"),
        boolValue: field(4, "bool"),
      },
    },
  },
});

const EVENT = ROOT.lookupType("Event");
const HPARAMS = ROOT.lookupType("HParamsPluginData");

/** tensorflow.DataType. */
const [DT_FLOAT, DT_STRING] = [1, 7];
/** tensorboard.DataClass: what is a tensor to TensorBoard, and not a curve or a picture. */
const DATA_CLASS_TENSOR = 2;
/** SessionLog.SessionStatus. */
const SESSION_START = 1;

/** A value under its tag; exactly one kind of it is set. */
export interface SummaryValue {
  tag: string;
  simpleValue?: number;
  image?: { height: number; width: number; colorspace: number; encodedImageString: Uint8Array };
  tensor?: object;
  metadata?: object;
}

/** What a record of an event file holds. */
export interface EventMessage {
  /** Seconds since 1970. */
  wallTime: number;
  step: number;
  fileVersion?: string;
  summary?: { value: SummaryValue[] };
  sessionLog?: { status: number };
}

export function encodeEvent(event: EventMessage): Uint8Array {
  return EVENT.encode(EVENT.fromObject(event)).finish();
}

/** Reads what {@link encodeEvent} wrote. */
export function decodeEvent(bytes: Uint8Array): EventMessage {
  return EVENT.toObject(EVENT.decode(bytes), { longs: Number, defaults: true }) as EventMessage;
}

/** What every event file begins with. */
export const fileVersion = (wallTime: number): EventMessage => ({
  wallTime,
  step: 0,
  fileVersion: "brain.Event:2",
});

/** A session begins: whatever earlier files have of this step and later ones is void. */
export const sessionStart = (wallTime: number, step: number): EventMessage => ({
  wallTime,
  step,
  sessionLog: { status: SESSION_START },
});

/** A point of a curve. */
export const scalar = (tag: string, value: number): SummaryValue => ({ tag, simpleValue: value });

/** A picture. */
export function picture(tag: string, png: Uint8Array, width: number, height: number): SummaryValue {
  return { tag, image: { height, width, colorspace: 3, encodedImageString: png } };
}

/** Markdown, for the tab of texts. */
export function text(tag: string, markdown: string): SummaryValue {
  return {
    tag,
    tensor: { dtype: DT_STRING, tensorShape: {}, stringVal: [Buffer.from(markdown)] },
    metadata: { pluginData: { pluginName: "text" }, dataClass: DATA_CLASS_TENSOR },
  };
}

/** What the HParams plugin reads is all in the metadata. */
function hparamsValue(tag: string, content: object): SummaryValue {
  const bytes = HPARAMS.encode(HPARAMS.fromObject({ version: 0, ...content })).finish();
  return {
    tag,
    tensor: { dtype: DT_FLOAT, tensorShape: { dim: [{ size: 0 }] } },
    metadata: {
      pluginData: { pluginName: "hparams", content: bytes },
      dataClass: DATA_CLASS_TENSOR,
    },
  };
}

/** A run's settings, for the tab that compares runs by them. */
export function hparamsStart(
  hparams: Readonly<Record<string, string | number | boolean>>,
  startTimeSecs: number,
): SummaryValue {
  const asValue = (value: string | number | boolean) =>
    typeof value === "number"
      ? { numberValue: value }
      : typeof value === "boolean"
        ? { boolValue: value }
        : { stringValue: value };
  const entries = Object.entries(hparams).map(([name, value]) => [name, asValue(value)] as const);
  return hparamsValue("_hparams_/session_start_info", {
    sessionStartInfo: { hparams: Object.fromEntries(entries), startTimeSecs },
  });
}

/** How a run ended. */
export function hparamsEnd(isSuccess: boolean, endTimeSecs: number): SummaryValue {
  return hparamsValue("_hparams_/session_end_info", {
    sessionEndInfo: { status: isSuccess ? 1 : 2, endTimeSecs },
  });
}
