/** `.h5` files of Keras: whole models with their description, or weights alone. */
import { kerasGroup } from "../export/keras_groups.js";
import {
  type ForeignLayer,
  type ForeignModel,
  type ForeignWeight,
  modelError,
  type Role,
  shown,
} from "./foreign.js";
import type { Hdf5Contents } from "./hdf5.js";
import { chainIn, LAYER_ROOTS } from "./keras_archive.js";
import { numberedWeights, roleOf, weightsAt } from "./weights.js";

/** A text attribute, whichever way it is kept. */
function textAttribute(file: Hdf5Contents, group: string, name: string): string | undefined {
  const value = file.attribute(group, name);
  return typeof value === "string" ? value : value?.[0];
}

/** A list of names; one that is too long for an attribute is cut into `name0`, `name1` and so on. */
function namesAttribute(file: Hdf5Contents, group: string, name: string): string[] {
  const whole = file.attribute(group, name);
  if (whole !== undefined) return [whole].flat();
  const names: string[] = [];
  for (let i = 0; ; i++) {
    const part = file.attribute(group, `${name}${i}`);
    if (part === undefined) return names;
    names.push(...[part].flat());
  }
}

/** The weights of a layer, by the name of the layer within the group. */
type Group = Map<string, [Role, string][]>;

/** What a group of the file holds, layer by layer; of a model within the model, several. */
function readGroup(path: string, file: Hdf5Contents, group: string): Group {
  const layers: Group = new Map();
  for (const name of namesAttribute(file, group, "weight_names")) {
    const role = roleOf(name);
    if (role === undefined) continue;
    const layer = name.split("/").at(-2) ?? "";
    const weights = layers.get(layer) ?? [];
    layers.set(layer, weights);
    if (weights.some(([known]) => known === role)) {
      throw modelError(path, `has two layers that are called ${shown(layer)}: rename one`);
    }
    weights.push([role, `${group}/${name}`]);
  }
  return layers;
}

/** `encoder_conv2d_1` for a file that has it as `conv2d_1`, and so on. */
function inGroup(layers: Group, name: string): [Role, string][] {
  const only = [...layers.values()];
  return layers.get(name) ?? (only.length === 1 ? (only[0] as [Role, string][]) : []);
}

/** A whole model; null if the file describes none. */
export function readKerasModel(path: string, file: Hdf5Contents): ForeignModel | null {
  const text = textAttribute(file, "", "model_config");
  if (text === undefined) return null;
  let config: unknown;
  try {
    config = JSON.parse(text);
  } catch (error) {
    throw modelError(path, "is damaged: its model_config is no JSON", error);
  }
  const chain = chainIn(path, config);
  const version = textAttribute(file, "", "keras_version") ?? "2";
  const groups = new Map<string, Group>();
  const places = new Map<ForeignLayer, string>(
    chain.layers.map((layer) => [layer, `model_weights/${layer.group}`]),
  );
  return {
    format: `Keras ${version.slice(0, 20)} model`,
    kerasMajor: Number.parseInt(version, 10) || 2,
    inputShape: chain.inputShape,
    layers: chain.layers,
    weightsOf(layer) {
      const place = places.get(layer) as string;
      const group = groups.get(place) ?? readGroup(path, file, place);
      groups.set(place, group);
      return weightsAt(file, inGroup(group, layer.name));
    },
  };
}

/** Weights of a file that says nothing of the layers but their order, at most by kind. */
export interface WeightQueue {
  readonly format: string;
  /** Takes the weights of the next layer of a kind; undefined if there are no more. */
  next(layer: ForeignLayer): { name: string; weights: ForeignWeight[] } | undefined;
  /** Names of layers that were not taken. */
  left(): string[];
}

/** Names such as `conv2d`, `conv2d_1`, `conv2d_10`, which a file has in the order of the alphabet. */
function byNumber(names: readonly string[]): { name: string; kind: string }[] {
  return names
    .map((name) => {
      const [, kind = name, number = "0"] = /^(.*?)(?:_(\d+))?$/.exec(name) ?? [];
      return { name, kind, number: Number(number) };
    })
    .sort((a, b) => a.number - b.number);
}

/** Groups of a `.weights.h5` of Keras 3 by kind: `conv2d`, `conv2d_1` and so on, by number. */
function numberedQueue(path: string, file: Hdf5Contents, root: string): WeightQueue {
  const queues = new Map<string, string[]>();
  const collect = (group: string): void => {
    const models: { kind: string; place: string }[] = [];
    for (const { name, kind } of byNumber(file.names(group))) {
      const place = `${group}/${name}`;
      const inner = file.names(place);
      const nested = LAYER_ROOTS.find((known) => inner.includes(known));
      if (nested !== undefined) models.push({ kind, place: `${place}/${nested}` });
      else if (file.names(`${place}/vars`).length > 0) {
        queues.set(kind, [...(queues.get(kind) ?? []), place]);
      }
    }
    // Models within the model are numbered, too, and so are the layers of each.
    if (new Set(models.map(({ kind }) => kind)).size > 1) {
      throw modelError(path, "has models within the model, in no order: give the whole model");
    }
    for (const model of models) collect(model.place);
  };
  collect(root);
  return {
    format: "weights of Keras 3",
    next(layer) {
      const found = queues.get(kerasGroup(layer.kind))?.shift();
      if (found === undefined) return undefined;
      return { name: found, weights: numberedWeights(file, found, layer) };
    },
    left: () => [...queues.values()].flat(),
  };
}

/** Layers of a weights file of Keras 2, in the order in which it lists them. */
function listedQueue(
  path: string,
  file: Hdf5Contents,
  root: string,
  names: readonly string[],
): WeightQueue {
  const queue = names.flatMap((name) =>
    [...readGroup(path, file, root === "" ? name : `${root}/${name}`)].map(([layer, weights]) => ({
      name: layer || name,
      weights,
    })),
  );
  return {
    format: "weights of Keras",
    next() {
      const found = queue.shift();
      return found && { name: found.name, weights: weightsAt(file, found.weights) };
    },
    left: () => queue.map(({ name }) => name),
  };
}

/** @throws FlexaeError `FLEXAE_MODEL` if the file holds no weights of Keras. */
export function weightQueue(path: string, file: Hdf5Contents): WeightQueue {
  for (const root of ["", "model_weights"]) {
    const names = namesAttribute(file, root, "layer_names");
    if (names.length > 0) return listedQueue(path, file, root, names);
  }
  const root = LAYER_ROOTS.find((name) => file.names(name).length > 0);
  if (root !== undefined) return numberedQueue(path, file, root);
  throw modelError(path, "holds no weights of Keras");
}
