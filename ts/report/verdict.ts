/** What may be wrong with a run, and what to try next: one rule each, with its threshold. */
import type { Settings } from "../config/resolve.js";

/** An epoch, as far as the rules look at it. */
export interface EpochLosses {
  epoch: number;
  /** Of the training images. */
  loss: number;
  /** Of the validation images. */
  validLoss: number;
}

/** What the rules look at; null where it is not known. */
export interface Evidence {
  /** `finished`, `early`, `interrupted`, `failed`, `running` or `imported`. */
  state: string;
  /** What may be advised depends on them. */
  settings: Settings | null;
  epochs: readonly EpochLosses[];
  /** Batches trained with. */
  batches: number | null;
  /** Mean squared errors of the kept weights on both sets. */
  mse: { train: number; valid: number } | null;
  /** Images that could not be used, and all. */
  bad: { images: number; of: number } | null;
  /** Standard deviation of each dimension of the embedding, over a sample. */
  deviations: readonly number[] | null;
  /** Images of that sample. */
  images: number | null;
  /** Of the pixels of a sample: see `saturated`. */
  outputs: OutputStatistics | null;
}

/** What reconstructions of a sample are like. */
export interface OutputStatistics {
  /** How many were looked at. */
  images: number;
  /** Share of pixels that are 0 or 1 to within 1/510 and miss the original by more than 0.1. */
  saturated: number;
  /** Mean over pixels of the standard deviation between images, of the originals. */
  originalSpread: number;
  /** The same, of the reconstructions. */
  outputSpread: number;
}

/** What a rule found. */
export interface Finding {
  /** With the figures. */
  what: string;
  /** What to try next. */
  advice: string;
}

/** Something to look for. */
export interface Rule {
  /** A few words. */
  name: string;
  /** When it holds, threshold included. */
  stated: string;
  /** A finding, null if all is well, undefined if there is nothing to judge by. */
  judge(evidence: Evidence): Finding | null | undefined;
}

const percent = (share: number) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;

/** Epochs below which curves say nothing. */
const LEAST_EPOCHS = 5;
/** A fall of the validation loss that is worth more epochs. */
const FALLING = 0.01;
/** A rise of the validation loss after its best that is no noise. */
const RISING = 0.05;
const WIDE_GAP = 2;
const DEAD = 0.01;
const SATURATED = 0.02;
const CONSTANT = 0.1;
const MANY_BAD = 0.01;
/** Images below which nothing can be said of how they differ. */
const LEAST_IMAGES = 5;
/** Below it images are the same, to the eye. */
const LEAST_SPREAD = 1e-3;
/** Time constants after which little is left of what a moving average began with. */
const SETTLED = 5;
/** Activations without a gradient on one side, where a unit stays that gets there. */
const DYING: readonly string[] = ["relu", "hard_sigmoid"];

/** The epoch of the least validation loss; undefined if there is none. */
function bestOf(epochs: readonly EpochLosses[]): EpochLosses | undefined {
  const known = epochs.filter(({ validLoss }) => Number.isFinite(validLoss));
  return known.reduce<EpochLosses | undefined>(
    (best, epoch) => (best === undefined || epoch.validLoss < best.validLoss ? epoch : best),
    undefined,
  );
}

/** Whether batch normalization's moving averages, by which validation computes, have caught up. */
function areAveragesSettled({ settings, batches }: Evidence): boolean {
  if (settings === null || batches === null) return false;
  return batches >= Math.round(SETTLED / (1 - settings.batch_norm_momentum));
}

/** Whether the images looked at are enough, and unlike enough, to say that something hardly varies. */
function doImagesVary(outputs: OutputStatistics | null): boolean {
  return (
    outputs !== null && outputs.images >= LEAST_IMAGES && outputs.originalSpread >= LEAST_SPREAD
  );
}

/** What makes a network generalize better, flips only where they are off. */
function againstOverfitting(settings: Settings | null): string {
  const off = [
    settings?.horizontal_flip === false && "--horizontal-flip",
    settings?.vertical_flip === false && "--vertical-flip",
  ].filter((flag) => flag !== false);
  const flips = off.length === 0 ? "" : `${off.join(" or ")} if images may be mirrored so, `;
  return `more images, ${flips}a larger --drop-rate`;
}

const stillFalling: Rule = {
  name: "Still falling",
  stated:
    "At least 5 epochs, and no early stop; the best one is in the last fifth, whose mean " +
    "validation loss is more than 1 % below that of the fifth before.",
  judge({ epochs, state }) {
    if (epochs.length < LEAST_EPOCHS) return undefined;
    const fifth = Math.floor(epochs.length / 5);
    const losses = epochs.map(({ validLoss }) => validLoss);
    if (!losses.slice(-2 * fifth).every(Number.isFinite)) return undefined;
    const before = mean(losses.slice(-2 * fifth, -fifth));
    const fall = (before - mean(losses.slice(-fifth))) / Math.abs(before);
    const place = epochs.indexOf(bestOf(epochs) as EpochLosses);
    const isLate = place >= epochs.length - fifth;
    if (state === "early" || !isLate || !(fall > FALLING)) return null;
    return {
      what: `The validation loss still fell at the end, by ${percent(fall)} within ${fifth === 1 ? "the last epoch" : `the last ${fifth} epochs`}.`,
      advice: "Train longer: flexae run --resume RUN --train-epochs with a larger number.",
    };
  },
};

const overfitting: Rule = {
  name: "Overfitting",
  stated:
    "At least 5 epochs; the last validation loss is more than 5 % above the best, while the " +
    "training loss has fallen since then. Judged after 5 / (1 − batch_norm_momentum) batches: " +
    "the averages by which batch normalization validates lag behind the training before.",
  judge(evidence) {
    const { epochs, settings } = evidence;
    if (epochs.length < LEAST_EPOCHS || !areAveragesSettled(evidence)) return undefined;
    const best = bestOf(epochs);
    const last = epochs.at(-1);
    if (best === undefined || last === undefined) return undefined;
    if (![last.validLoss, last.loss, best.loss].every(Number.isFinite)) return undefined;
    const rise = (last.validLoss - best.validLoss) / Math.abs(best.validLoss);
    if (!(rise > RISING) || !(last.loss < best.loss)) return null;
    return {
      what: `Since epoch ${best.epoch} the validation loss rose by ${percent(rise)} while the training loss fell.`,
      advice:
        `The best epoch's weights were kept. For better ones: ${againstOverfitting(settings)}, ` +
        "a smaller network, or a smaller --patience to save the time.",
    };
  },
};

const gap: Rule = {
  name: "Gap between sets",
  stated: "The mean squared error of the validation images is more than twice the training one.",
  judge({ mse, settings }) {
    if (mse === null || !(mse.train > 0) || !Number.isFinite(mse.valid)) return undefined;
    const ratio = mse.valid / mse.train;
    if (!(ratio > WIDE_GAP)) return null;
    return {
      what: `The squared error of validation images is ${ratio.toFixed(1)} times that of training images.`,
      advice:
        "See that both sets are alike (flexae check, flexae duplicates --leaks); then " +
        `${againstOverfitting(settings)}.`,
    };
  },
};

/** What may bring dimensions of the embedding to life. */
function againstDead(settings: Settings | null): string {
  const smaller = "a smaller --learning-rate";
  if (settings === null) return smaller;
  const { AutoencoderMLP_switch: isDense, last_activation, activation } = settings;
  const [flag, used] = isDense
    ? ["--last-activation", last_activation]
    : ["--activation", activation];
  return DYING.includes(used) ? `${smaller}, or ${flag} elu in place of ${used}` : smaller;
}

const deadDimensions: Rule = {
  name: "Dead embedding dimensions",
  stated:
    "A dimension's standard deviation is below 1 % of that of the most varied one. Judged where " +
    "at least 5 images were looked at, which differ from each other by 0.001 or more.",
  judge({ deviations, images, outputs, settings }) {
    if (deviations === null || deviations.length === 0) return undefined;
    if (!(images !== null && images >= LEAST_IMAGES) || !doImagesVary(outputs)) return undefined;
    const greatest = deviations.reduce((a, b) => Math.max(a, b), 0);
    const dead = deviations.filter((deviation) => !(deviation > DEAD * greatest)).length;
    if (dead === 0) return null;
    const remedy = againstDead(settings);
    const fewer = settings?.AutoencoderMLP_switch
      ? "Fewer --dims may do as well. If they are to come alive"
      : "If they are to come alive";
    return {
      what: `${dead} of the ${deviations.length} dimensions of the embedding hardly ${dead === 1 ? "varies" : "vary"}.`,
      advice:
        dead === deviations.length
          ? `The encoder ignores its images: ${remedy}.`
          : `${fewer}: ${remedy}.`,
    };
  },
};

const saturated: Rule = {
  name: "Saturated outputs",
  stated:
    "More than 2 % of the reconstructed pixels are black or white to within 1/510 and miss the " +
    "original by more than 0.1.",
  judge({ outputs }) {
    if (outputs === null) return undefined;
    if (!(outputs.saturated > SATURATED)) return null;
    return {
      what: `${percent(outputs.saturated)} of the reconstructed pixels are stuck at black or white, and wrong.`,
      advice:
        "A smaller --learning-rate: outputs are the sigmoid of what the last layer gives, which " +
        "has grown too large there.",
    };
  },
};

const constantOutputs: Rule = {
  name: "Reconstructions all alike",
  stated:
    "Reconstructions differ from each other by less than a tenth as much as the originals. Judged " +
    "where at least 5 were looked at, whose originals differ by 0.001 or more.",
  judge({ outputs, settings }) {
    if (outputs === null || !doImagesVary(outputs)) return undefined;
    const share = outputs.outputSpread / outputs.originalSpread;
    if (!(share < CONSTANT)) return null;
    const larger = settings?.AutoencoderMLP_switch ? ", or more --dims" : "";
    return {
      what: `Reconstructions vary only ${percent(share)} as much as the images: the model gives nearly the same picture for all.`,
      advice: `More epochs if there were few, a smaller --learning-rate${larger}.`,
    };
  },
};

const badImages: Rule = {
  name: "Bad images",
  stated: "More than 1 % of the images could not be used.",
  judge({ bad }) {
    if (bad === null || bad.of === 0) return undefined;
    if (!(bad.images / bad.of > MANY_BAD)) return null;
    return {
      what: `${percent(bad.images / bad.of)} of the images could not be used.`,
      advice: "bad_images.csv names each with the reason; repair or remove them.",
    };
  },
};

/** In the order in which they are shown. */
export const RULES: readonly Rule[] = [
  stillFalling,
  overfitting,
  gap,
  deadDimensions,
  saturated,
  constantOutputs,
  badImages,
];

/** A rule and its outcome. */
export interface Judgement {
  rule: Rule;
  /** Null if all is well, undefined if there was nothing to judge by. */
  finding: Finding | null | undefined;
}

/** All rules, each judged. */
export function judge(evidence: Evidence): Judgement[] {
  return RULES.map((rule) => ({ rule, finding: rule.judge(evidence) }));
}
