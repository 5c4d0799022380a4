/** The description of a Keras model as layers in a row. */
import { isMapping } from "../config/values.js";
import { kerasGroup, kerasGroups } from "../export/keras_groups.js";
import type { ForeignLayer } from "./foreign.js";

/** A layer, and where files have its weights. */
export interface ChainedLayer extends ForeignLayer {
  /** As `.keras` files name its group, below the models that it is nested in. */
  readonly archivePath: string;
  /** The outermost layer that it is nested in, or itself: so `.h5` files name its group. */
  readonly group: string;
}

/** A model's layers, each of which takes what the one before gives. */
export interface Chain {
  layers: ChainedLayer[];
  /** Without the batch; null if it is not fixed. */
  inputShape: number[] | null;
}

/** What no file means, and what would take too long. */
const MOST_NESTED = 8;
const MOST_LAYERS = 10_000;

/** Why a description cannot be followed; the reader names the file. */
export class KerasConfigError extends Error {}

const MODELS = ["Sequential", "Functional", "Model"];

interface Entry {
  name: string;
  kind: string;
  config: Record<string, unknown>;
  isKeras: boolean;
  inbound: unknown;
  archiveName: string;
}

function mapping(value: unknown, what: string): Record<string, unknown> {
  if (isMapping(value)) return value;
  throw new KerasConfigError(`${what} is not what Keras writes`);
}

/** Whether a class is of Keras itself; files before Keras 2.12 do not say. */
function isOwn({ module, registered_name }: Record<string, unknown>, kind: string): boolean {
  const isHome = typeof module !== "string" || /^(tf_)?keras(\.|$)/.test(module);
  return isHome && (registered_name ?? kind) === kind;
}

function entriesOf(layers: unknown): Entry[] {
  if (!Array.isArray(layers)) throw new KerasConfigError("its list of layers is missing");
  const all = layers.map((layer) => mapping(layer, "a layer"));
  const groups = kerasGroups(all.map(({ class_name }) => String(class_name)));
  return all.map((layer, i) => {
    const config = mapping(layer.config, "a layer's config");
    const kind = String(layer.class_name);
    return {
      name: String(config.name ?? layer.name ?? kerasGroup(kind)),
      kind,
      config,
      isKeras: isOwn(layer, kind),
      inbound: layer.inbound_nodes,
      archiveName: groups[i] as string,
    };
  });
}

/** The layer of [name, node, tensor]; it must give one tensor. */
function only([name, , tensor]: readonly unknown[]): string {
  if (tensor === 0) return String(name);
  throw new KerasConfigError(`layer ${String(name).slice(0, 60)} gives several outputs`);
}

/** Names of the layers that a layer takes its input from, once for each time it is called. */
function sources(inbound: unknown): string[] {
  const found: string[] = [];
  const visit = (value: unknown, depth: number): void => {
    if (depth > 2 * MOST_NESTED) throw new KerasConfigError("its connections are nested too deep");
    if (Array.isArray(value)) {
      // Keras 2: [name, node, tensor, options].
      if (typeof value[0] === "string" && typeof value[1] === "number") found.push(only(value));
      else for (const item of value) visit(item, depth + 1);
      return;
    }
    if (!isMapping(value)) return;
    const { keras_history } = isMapping(value.config) ? value.config : {};
    // Keras 3: a tensor says which layer gave it.
    if (Array.isArray(keras_history)) found.push(only(keras_history));
    else for (const item of Object.values(value)) visit(item, depth + 1);
  };
  visit(inbound, 0);
  return found;
}

/** The layers of a graph in their order, which must be a row, and end in its only output. */
function inARow(entries: readonly Entry[], outputs: unknown): Entry[] {
  const next = new Map<string, Entry>();
  let first: Entry | undefined;
  for (const entry of entries) {
    const from = sources(entry.inbound);
    if (from.length > 1) {
      throw new KerasConfigError(`layer ${entry.name} has ${from.length} inputs, and may have one`);
    }
    const [source] = from;
    if (source === undefined) {
      if (first !== undefined) {
        throw new KerasConfigError(`it has two inputs, ${first.name} and ${entry.name}`);
      }
      first = entry;
    } else {
      const other = next.get(source);
      if (other !== undefined) {
        throw new KerasConfigError(
          `${other.name} and ${entry.name} both take what ${source} gives: it branches`,
        );
      }
      next.set(source, entry);
    }
  }
  const row: Entry[] = [];
  for (let entry = first; entry !== undefined; entry = next.get(entry.name)) {
    row.push(entry);
    if (row.length > entries.length) throw new KerasConfigError("its layers form a circle");
  }
  if (row.length !== entries.length) throw new KerasConfigError("its layers are not all connected");
  const given = sources(outputs);
  const last = row.at(-1)?.name;
  if (given.length !== 1 || given[0] !== last) {
    throw new KerasConfigError(`it must give what ${last} gives, and nothing else`);
  }
  return row;
}

function shapeOf(config: Readonly<Record<string, unknown>>): unknown[] | undefined {
  for (const key of ["batch_shape", "batch_input_shape", "build_input_shape"]) {
    const shape = config[key];
    if (Array.isArray(shape)) return shape.slice(1);
  }
  return undefined;
}

class Unfolding {
  readonly layers: ChainedLayer[] = [];
  shape: unknown[] | undefined;

  add(kind: string, config: unknown, prefix: string, group: string | null, depth: number): void {
    if (depth > MOST_NESTED) throw new KerasConfigError("its models are nested too deep");
    // Before Keras 2.2.3, a Sequential's config was the list itself.
    const body = Array.isArray(config) ? { layers: config } : mapping(config, "its config");
    const entries = entriesOf(body.layers);
    if (entries.length + this.layers.length > MOST_LAYERS) {
      throw new KerasConfigError("it has too many layers");
    }
    this.shape ??= shapeOf(body);
    for (const entry of kind === "Sequential" ? entries : inARow(entries, body.output_layers)) {
      const { name, config: options } = entry;
      const archivePath = `${prefix}/${entry.archiveName}`;
      this.shape ??= shapeOf(options);
      if (MODELS.includes(entry.kind)) {
        this.add(entry.kind, options, `${archivePath}/layers`, group ?? name, depth + 1);
      } else if (entry.kind !== "InputLayer") {
        const layer = { name, kind: entry.kind, config: options, isKeras: entry.isKeras };
        this.layers.push({ ...layer, archivePath, group: group ?? name });
      }
    }
  }
}

/**
 * The layers of a model, and of those within it, in the order in which they compute.
 *
 * @param model - What `config.json` or the attribute `model_config` holds.
 * @throws KerasConfigError if it is no model, or its layers do not form a row.
 */
export function chainOf(model: unknown): Chain {
  const { class_name, config } = mapping(model, "its description");
  if (!MODELS.includes(String(class_name))) {
    throw new KerasConfigError(`it is a ${String(class_name).slice(0, 60)}, not a model of layers`);
  }
  const unfolding = new Unfolding();
  unfolding.add(String(class_name), config, "layers", null, 0);
  const { shape, layers } = unfolding;
  const isFixed = shape?.every((size) => Number.isSafeInteger(size) && (size as number) > 0);
  return { layers, inputShape: isFixed === true ? (shape as number[]) : null };
}
