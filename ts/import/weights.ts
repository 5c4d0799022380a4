/** Weights of Keras layers as HDF5 files have them. */
import type { ForeignLayer, ForeignWeight, Role } from "./foreign.js";
import type { Hdf5Contents } from "./hdf5.js";

const MOVING: readonly Role[] = ["moving_mean", "moving_variance"];
const ROLES: readonly Role[] = ["kernel", "bias", "gamma", "beta", ...MOVING];

/** What a layer of Keras keeps, in its order. */
export function rolesOf({ kind, config }: ForeignLayer): Role[] {
  switch (kind) {
    case "Conv2D":
    case "Conv2DTranspose":
    case "Dense":
      return config.use_bias === false ? ["kernel"] : ["kernel", "bias"];
    case "BatchNormalization":
      return [
        ...(config.scale === false ? [] : (["gamma"] as const)),
        ...(config.center === false ? [] : (["beta"] as const)),
        ...MOVING,
      ];
    default:
      return [];
  }
}

/** What a name such as `conv2d_1/kernel:0` ends in. */
export function roleOf(name: string): Role | undefined {
  const last = name.split("/").at(-1)?.replace(/:\d+$/, "");
  return ROLES.find((role) => role === last);
}

/** Datasets by their roles; what is not there is left out. */
export function weightsAt(
  file: Hdf5Contents,
  named: readonly (readonly [Role, string])[],
): ForeignWeight[] {
  return named.flatMap(([role, name]) => {
    const found = file.numbers(name);
    return found === undefined ? [] : [{ role, shape: found.shape, read: () => found.read() }];
  });
}

/** Weights of a group of a `.keras` file, which numbers them. */
export function numberedWeights(
  file: Hdf5Contents,
  group: string,
  layer: ForeignLayer,
): ForeignWeight[] {
  return weightsAt(
    file,
    rolesOf(layer).map((role, i) => [role, `${group}/vars/${i}`] as const),
  );
}
