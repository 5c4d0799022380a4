/** What may be wrong with a run, and what to try next: one rule each, with its threshold. */

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
  epochs: readonly EpochLosses[];
  /** Mean squared errors of the kept weights on both sets. */
  mse: { train: number; valid: number } | null;
  /** Images that could not be used, and all. */
  bad: { images: number; of: number } | null;
  /** Standard deviation of each dimension of the embedding, over a sample. */
  deviations: readonly number[] | null;
  /** Of the pixels of a sample: see `saturated`. */
  outputs: OutputStatistics | null;
}

/** What reconstructions of a sample are like. */
export interface OutputStatistics {
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

/** The epoch of the least validation loss; undefined if there is none. */
function bestOf(epochs: readonly EpochLosses[]): EpochLosses | undefined {
  const known = epochs.filter(({ validLoss }) => Number.isFinite(validLoss));
  return known.reduce<EpochLosses | undefined>(
    (best, epoch) => (best === undefined || epoch.validLoss < best.validLoss ? epoch : best),
    undefined,
  );
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
    "training loss has fallen since then.",
  judge({ epochs }) {
    if (epochs.length < LEAST_EPOCHS) return undefined;
    const best = bestOf(epochs);
    const last = epochs.at(-1);
    if (best === undefined || last === undefined) return undefined;
    const rise = (last.validLoss - best.validLoss) / Math.abs(best.validLoss);
    if (!(rise > RISING) || !(last.loss < best.loss)) return null;
    return {
      what: `Since epoch ${best.epoch} the validation loss rose by ${percent(rise)} while the training loss fell.`,
      advice:
        "The best epoch's weights were kept. For better ones: more images, flips, --drop-rate, " +
        "a smaller network, or a smaller --patience to save the time.",
    };
  },
};

const gap: Rule = {
  name: "Gap between sets",
  stated: "The mean squared error of the validation images is more than twice the training one.",
  judge({ mse }) {
    if (mse === null || !(mse.train > 0)) return undefined;
    const ratio = mse.valid / mse.train;
    if (!(ratio > WIDE_GAP)) return null;
    return {
      what: `The squared error of validation images is ${ratio.toFixed(1)} times that of training images.`,
      advice:
        "See that both sets are alike (flexae check, flexae duplicates --leaks); then more images, " +
        "flips, or --drop-rate.",
    };
  },
};

const deadDimensions: Rule = {
  name: "Dead embedding dimensions",
  stated: "A dimension's standard deviation is below 1 % of that of the most varied one.",
  judge({ deviations }) {
    if (deviations === null || deviations.length === 0) return undefined;
    const greatest = deviations.reduce((a, b) => Math.max(a, b), 0);
    const dead = deviations.filter((deviation) => !(deviation > DEAD * greatest)).length;
    if (dead === 0) return null;
    return {
      what: `${dead} of the ${deviations.length} dimensions of the embedding hardly vary.`,
      advice:
        dead === deviations.length
          ? "The encoder ignores its images: a smaller --learning-rate, or another --activation."
          : "Fewer --dims may do as well. If they are to come alive: a smaller --learning-rate, or " +
            "--activation elu in place of relu.",
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
        "A smaller --learning-rate, or --last-activation sigmoid, whose gradient does not vanish at once.",
    };
  },
};

const constantOutputs: Rule = {
  name: "Reconstructions all alike",
  stated: "Reconstructions differ from each other by less than a tenth as much as the originals.",
  judge({ outputs }) {
    if (outputs === null || !(outputs.originalSpread > 0)) return undefined;
    const share = outputs.outputSpread / outputs.originalSpread;
    if (!(share < CONSTANT)) return null;
    return {
      what: `Reconstructions vary only ${percent(share)} as much as the images: the model gives nearly the same picture for all.`,
      advice: "More epochs if there were few, a smaller --learning-rate, or more --dims.",
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
