/** A stranger's layers beside ours: whether they compute the same, and which weights are whose. */
import type { ModelLayer, PlannedLayer } from "../addon/types.js";
import { kerasLayers } from "../export/keras_layers.js";
import { kerasShape, turnWeightBack } from "../export/keras_weights.js";
import {
  type ForeignLayer,
  type ForeignWeight,
  type Role,
  type StoredWeights,
  shown,
} from "./foreign.js";
import { type Step, stepsOf } from "./steps.js";
import { rolesOf } from "./weights.js";

type PlannedWeight = PlannedLayer["weights"][number];

/** A step of a network of ours. */
export interface PlannedStep extends Step {
  /** Whose values are wanted. */
  weights: readonly PlannedWeight[];
  /** Of what the step takes, without the batch: [C, H, W] or [units]. */
  inputShape: readonly number[];
}

const NO_VALUES = new Float32Array();

/** It is of no consequence to what is compared. */
const ANY_MOMENTUM = 0;

/** The steps of a network of ours, as Keras has them. */
export function plannedSteps(layers: readonly PlannedLayer[]): PlannedStep[] {
  return layers.flatMap((layer) => {
    const weights = layer.weights.map((weight) => ({ ...weight, values: NO_VALUES }));
    const full: ModelLayer = { ...layer, weights };
    return kerasLayers([full], ANY_MOMENTUM).flatMap(({ config, weights: own }) => {
      const { class_name, config: options } = config;
      const name = String(options.name);
      const foreign = { name, kind: class_name, config: options, isKeras: true };
      return stepsOf([foreign], 3).steps.map((step, i) => ({
        ...step,
        weights: i === 0 ? own : [],
        inputShape: layer.inputShape,
      }));
    });
  });
}

const named = ({ layer, kind }: Step) =>
  `${shown(layer.name)} (${kind === layer.kind ? kind : `${shown(layer.kind)}, ${kind}`})`;

function optionsText(step: Step): string {
  return Object.entries(step.options)
    .map(([name, value]) => `${name} ${JSON.stringify(value)}`)
    .join(", ");
}

/** Whether a shape is the one that is meant; one of its sizes may be -1, which follows. */
function sameShape(found: readonly number[], meant: readonly number[]): boolean {
  return (
    found.length === meant.length &&
    found.filter((size) => size === -1).length < 2 &&
    found.every((size, i) => size === -1 || size === meant[i])
  );
}

/** Whether two options stand for the same. */
function sameOption(name: string, found: Step, planned: PlannedStep): boolean {
  const [a, b] = [found.options[name], planned.options[name]];
  if (name === "padding") {
    const [, ...sizes] = planned.inputShape;
    // Padding is something only where a window would reach beyond the last cell.
    return a === b || sizes.every((size) => size % 2 === 0);
  }
  if (name === "target_shape") return sameShape(a as number[], b as number[]);
  // Images without the batch, [C, H, W], are as many sizes as Keras counts axes.
  if (name === "axis") return a === b || a === planned.inputShape.length;
  return JSON.stringify(a) === JSON.stringify(b);
}

/**
 * The steps planned, as a model has them that goes from its last map to its first without making a
 * vector of it: to flatten and to reshape back at once is nothing.
 */
export function withoutDetour(planned: PlannedStep[], found: readonly Step[]): PlannedStep[] {
  const flatten = planned.findIndex(({ kind }) => kind === "Flatten");
  const isDetour = planned[flatten + 1]?.kind === "Reshape";
  if (!isDetour || found.some(({ kind }) => kind === "Flatten" || kind === "Reshape")) {
    return planned;
  }
  return planned.toSpliced(flatten, 2);
}

/** In what steps differ from those planned, step by step; empty if they compute the same. */
export function differences(found: readonly Step[], planned: readonly PlannedStep[]): string[] {
  const problems: string[] = [];
  for (let i = 0; i < Math.max(found.length, planned.length); i++) {
    const [ours, theirs] = [planned[i], found[i]];
    if (ours === undefined) {
      problems.push(`${named(theirs as Step)}: no layer may follow there`);
      return problems;
    }
    if (theirs === undefined) {
      problems.push(`it ends where ${ours.kind} is needed`);
      return problems;
    }
    if (ours.kind !== theirs.kind) {
      problems.push(`${named(theirs)}: ${ours.kind} is needed there`);
      // What follows would all be out of step.
      return problems;
    }
    if (Object.keys(ours.options).some((name) => !sameOption(name, theirs, ours))) {
      problems.push(`${named(theirs)}: ${optionsText(theirs)}; needed is ${optionsText(ours)}`);
    }
  }
  return problems;
}

/** What Keras calls a weight of ours. */
function roleIn({ kind }: Step, name: string): Role {
  const part = name.split(".").at(-1);
  if (part === "running_mean") return "moving_mean";
  if (part === "running_var") return "moving_variance";
  if (kind === "BatchNormalization") return part === "weight" ? "gamma" : "beta";
  return part === "weight" ? "kernel" : "bias";
}

/** What a weight that Keras was told to leave out stands for. */
const LEFT_OUT: Partial<Record<Role, number>> = { bias: 0, beta: 0, gamma: 1 };

/**
 * A layer's weights, which are read where they lie.
 *
 * @param layer - The stranger's, which may say that it was told to leave weights out.
 * @param problems - Takes what is missing or has another shape.
 */
export function takeWeights(
  planned: PlannedStep,
  layer: ForeignLayer | { name: string },
  given: readonly ForeignWeight[],
  problems: string[],
): StoredWeights {
  const taken: StoredWeights = {};
  for (const { name, shape } of planned.weights) {
    const role = roleIn(planned, name);
    const found = given.find((weight) => weight.role === role);
    const wanted = kerasShape(shape);
    if (found === undefined) {
      const isMeant = !("kind" in layer) || rolesOf(layer).includes(role);
      const fill = isMeant ? undefined : LEFT_OUT[role];
      if (fill === undefined) problems.push(`${shown(layer.name)}: its ${role} is not in the file`);
      else taken[name] = { shape, read: () => new Float32Array(wanted[0] as number).fill(fill) };
    } else if (found.shape.join() === wanted.join()) {
      taken[name] = { shape, read: () => turnWeightBack(shape, found.read()) };
    } else {
      problems.push(
        `${shown(layer.name)}: its ${role} is ${found.shape.join("×")}, and ${wanted.join("×")} is needed`,
      );
    }
  }
  return taken;
}
