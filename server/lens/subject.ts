/**
 * The subject of a lens: a tuned model, its dictionaries and a probe, as the pipeline provides them. Letters: D
 * model width, F features of one dictionary, T tokens of a window, N tokens of a passage.
 */
import type { CentredForm } from "../common/centred-form.loops.ts";
import type { Device, StateStore } from "../engine/device.ts";
import type { DeviceError } from "../engine/errors.ts";
import type { Node } from "../engine/graph.ts";
import type { Model } from "../models/model.ts";
import type { LayerSite } from "../models/sites.ts";
import type { Tokenizer } from "../models/tokenizer.ts";
import type { FeaturePlace } from "../protocol/ablation.ts";
import type { RunInfo } from "../protocol/lens-state.ts";
import type { Reward } from "../rewards/reward.ts";
import type { RatingRange, WordRatings } from "../rewards/word-ratings.ts";
import type { LensLexicon } from "./lexicon.ts";
import type { PreferenceReader } from "./preference-reader.ts";
import type { LensWordFolds } from "./unseen.ts";

/** The dictionary of a layer's site on the device, in the form that graphs are built from. */
export interface LensDictionary extends LayerSite {
  /** F */
  readonly features: number;
  readonly store: StateStore;
  /** Activations [T, D] -> features [T, F] */
  encode(activations: Node): Node;
  /** [F, D]: what a feature adds to the activations, one feature a row. */
  readonly decoder: Node;
}

/** Identifies one of a run's dictionaries. */
export type DictionaryKind = Pick<FeaturePlace, "model" | "size">;

/** `weights · features + intercept`, rescaled by `outputScale` if it has one: see `LinearProbe`. */
export interface LensProbe {
  readonly layers: readonly { readonly layer: number; readonly start: number; readonly end: number }[];
  readonly weights: Float32Array;
  readonly intercept: number;
  /** Rescales the values `from` to those of `to`, the range of ratings; clamps what lies beyond. */
  readonly outputScale: { readonly from: RatingRange; readonly to: RatingRange } | null;
}

/** A ridge regression of the same features, in the same columns, on the log-ratio of words: `weights · features + intercept`, in nats. */
export interface LensFitted {
  readonly weights: Float64Array;
  readonly intercept: number;
  readonly wordFolds: LensWordFolds | undefined;
}

/** Features of a word of several tokens, as in the fit of the run's probe: their mean, or those of the first. */
export type MultiToken = "average" | "firstPiece";

/** How far features lie from those that the probe was fitted on. */
export interface LensFamiliarity {
  /** A token's leverage. */
  readonly leverage: CentredForm;
  /** Leverage threshold: above it, the probe's held-out accuracy does not apply. */
  readonly limit: number;
}

/** Evidence for trust in a reading: results of the evaluation of a probe, by kind. */
export type LensEvidence = RegressionEvidence | ClassificationEvidence;

/** Evidence for a regression on word ratings. */
export interface RegressionEvidence extends ReadingSizes {
  readonly kind: "regression";
  /** Count of a word, by its lower-case form, in the tuning texts; undefined if it was not counted. */
  seenInTuning(word: string): number | undefined;
  /** Sign accuracy on held-out words, by the sign of their value. */
  readonly signAccuracy: Readonly<Record<"positive" | "negative", SignAccuracy | null>>;
  readonly tau: { readonly value: number; readonly p: number } | null;
}

/** Evidence for a classification of answers, whose numbers are log-odds. */
export interface ClassificationEvidence extends ReadingSizes {
  readonly kind: "classification";
  /** Accuracy on held-out answers, half being chance. */
  readonly accuracy: { readonly share: number; readonly low: number; readonly high: number } | null;
  /** Accuracy of the same classifier on the length of the answers alone. */
  readonly lengthAccuracy: number | null;
  /** Number of contrasts, of a liked and a disliked answer each. */
  readonly contrasts: number;
}

/** Sizes of readings, for colour scales. */
interface ReadingSizes {
  /** Absolute value that most readings stay below. */
  readonly typicalSize: number;
  /** Absolute value that most words' ratings stay below; null if the feedback rates none. */
  readonly typicalRating: number | null;
}

export interface SignAccuracy {
  readonly share: number;
  readonly low: number;
  readonly high: number;
  readonly words: number;
}

/** Everything that a lens needs. Rarely used parts are loaded on first use. */
export interface LensSubject {
  readonly info: RunInfo;
  readonly device: Device;
  readonly tokenizer: Tokenizer;
  /** Token ids before every text, as when the probe was fitted. */
  readonly prefixIds: readonly number[];
  readonly tuned: Model;
  /** Throws `LensMissingError` if the run has none. */
  readonly base: () => Promise<Model>;
  readonly probe: LensProbe;
  /** The probes of its split by word; undefined for an older run without them. */
  readonly wordFolds: LensWordFolds | undefined;
  /** Undefined for a run without one. */
  readonly fitted: LensFitted | undefined;
  readonly multiToken: MultiToken;
  /** By layer. Throws `LensMissingError`. */
  readonly dictionaries: (kind: DictionaryKind) => Promise<ReadonlyMap<number, LensDictionary>>;
  /** The feedback's reward of completions alone. */
  readonly reward: () => Promise<Reward>;
  /** The feedback's ratings of words; undefined if it rates none. */
  readonly ratings: WordRatings | undefined;
  readonly evidence: LensEvidence;
  readonly preferences: PreferenceReader;
  /** Undefined for a run without one. */
  readonly lexicon: LensLexicon | undefined;
  /** Undefined for a run without it. */
  readonly familiarity: LensFamiliarity | undefined;
  /**
   * Reopens the subject on the CPU after a GPU failure, with the reason in `info.device`. Undefined if it is on the
   * CPU already.
   */
  readonly onCpu: ((cause: DeviceError) => Promise<LensSubject>) | undefined;
  /** Frees what the subject holds, including the device if it owns it. */
  readonly close: () => Promise<void>;
}
