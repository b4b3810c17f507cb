/** Conditions of an ablation: the ablation itself and the controls, which show what effect an arbitrary change has. */
import { invariant, LfpError } from "../common/errors.ts";
import type { Random } from "../common/random.ts";
import type { DictionaryChange } from "./edit.ts";

/** A feature with the factor for its activation. */
export interface ScaledFeature {
  /** The dictionary's name. */
  readonly dictionary: string;
  readonly feature: number;
  readonly factor: number;
}

/**
 * `none`: the unchanged model. `this`: the set ablated. `mean`: the set moved towards its means instead of zero.
 * `random`: other features in place of the set.
 */
export type ConditionKind = "none" | "this" | "mean" | "reconstruction" | "random";

/** One change of the model under which completions and losses are measured. */
export interface Condition {
  readonly kind: ConditionKind;
  /** Number of a random condition, from 1; null for the others. */
  readonly draw: number | null;
  readonly features: readonly ScaledFeature[];
}

/** The set cannot be ablated as given. */
export class AblationSetError extends LfpError {
  readonly code = "input";
}

/** Statistics of a dictionary's features over many tokens, [F] each. */
export interface DictionaryFacts {
  /** Share of tokens on which the feature is above zero. */
  readonly density: Float64Array;
  readonly mean: Float64Array;
  /**
   * Mean square of its activation, including zeros: what removing it takes out of an output, with unit decoder rows.
   */
  readonly meanSquare: Float64Array;
}

/** The ablation and its controls; without random ones if `tooFewToDraw` gives a reason. */
export function conditionsOf(
  set: readonly ScaledFeature[],
  facts: ReadonlyMap<string, DictionaryFacts>,
  { draws, random }: { readonly draws: number; readonly random: Random },
): Condition[] {
  const alone = (kind: ConditionKind, features: readonly ScaledFeature[] = []): Condition => ({
    kind,
    draw: null,
    features,
  });
  return [
    alone("none"),
    alone("this", set),
    alone("mean", set),
    alone("reconstruction", set),
    ...Array.from({ length: tooFewToDraw(set, facts) === undefined ? draws : 0 }, (_, at) => ({
      kind: "random" as const,
      draw: at + 1,
      features: matchedFeatures(set, facts, random.fork(`draw ${at + 1}`)),
    })),
  ];
}

/**
 * Reason why no random features can replace the set's, such as a dictionary most of whose others are never active;
 * undefined if they can.
 */
export function tooFewToDraw(
  set: readonly ScaledFeature[],
  facts: ReadonlyMap<string, DictionaryFacts>,
): string | undefined {
  for (const [dictionary, known] of facts) {
    const own = new Set(set.filter((one) => one.dictionary === dictionary).map(({ feature }) => feature));
    const others = known.density.reduce((count, share, at) => count + Number(share > 0 && !own.has(at)), 0);
    if (others < own.size)
      return `beside the ${own.size} of the set, ${others} of the ${known.density.length} features of ${dictionary} are ever active, too few to draw random ones from`;
  }
  return undefined;
}

/** Number of nearest features among which one is drawn. */
const candidates = 8;

/**
 * Draws for every feature of the set another one of its dictionary of similar frequency and strength, none twice and
 * none of the set: near in the logarithms of density and mean square. Features of the set choose in random order, so
 * that none always has the first choice.
 */
export function matchedFeatures(
  set: readonly ScaledFeature[],
  facts: ReadonlyMap<string, DictionaryFacts>,
  random: Random,
): ScaledFeature[] {
  const taken = new Set(set.map(({ dictionary, feature }) => `${dictionary} ${feature}`));
  const chosen = new Map<ScaledFeature, ScaledFeature>();
  for (const wanted of random.shuffled(set)) {
    const { dictionary, feature, factor } = wanted;
    const known = facts.get(dictionary);
    invariant(known !== undefined, `nothing is known of dictionary ${dictionary}`);
    const near = [...known.density.keys()]
      .filter((other) => !taken.has(`${dictionary} ${other}`) && (known.density[other] ?? 0) > 0)
      .map((other) => ({ other, distance: distanceOf(known, feature, other) }))
      .sort((a, b) => a.distance - b.distance || a.other - b.other)
      .slice(0, candidates);
    const drawn = near[random.integer(Math.max(1, near.length))];
    if (drawn === undefined)
      throw new AblationSetError(
        `the set has so many features of ${dictionary} that no others are left to compare with: take fewer, or no random draws`,
      );
    taken.add(`${dictionary} ${drawn.other}`);
    chosen.set(wanted, { dictionary, feature: drawn.other, factor });
  }
  return set.flatMap((wanted) => chosen.get(wanted) ?? []);
}

/**
 * Distance of two features in (log density, log mean square). A feature that was never active counts as active on
 * less than one token in a million.
 */
function distanceOf({ density, meanSquare }: DictionaryFacts, a: number, b: number): number {
  const log = (values: Float64Array, at: number): number => Math.log(Math.max(1e-6, values[at] ?? 0));
  return Math.hypot(log(density, a) - log(density, b), log(meanSquare, a) - log(meanSquare, b));
}

/** Energy that removing the features takes out: the sum of their mean squares. */
export function energyOf(
  features: readonly Pick<ScaledFeature, "dictionary" | "feature">[],
  facts: ReadonlyMap<string, DictionaryFacts>,
): number {
  return features.reduce((sum, { dictionary, feature }) => sum + (facts.get(dictionary)?.meanSquare[feature] ?? 0), 0);
}

/** The dictionaries' changes under a condition. */
export function changesOf(
  { kind, features }: Condition,
  facts: ReadonlyMap<string, DictionaryFacts>,
): Map<string, DictionaryChange> {
  const changes = new Map<string, DictionaryChange>();
  for (const { dictionary, feature, factor } of features) {
    const known = facts.get(dictionary);
    invariant(known !== undefined, `nothing is known of dictionary ${dictionary}`);
    const F = known.density.length;
    if (feature >= F)
      throw new AblationSetError(`the set names feature ${feature} of ${dictionary}, which has features 0 to ${F - 1}`);
    const change = changes.get(dictionary) ?? {
      strength: new Float32Array(F),
      level: new Float32Array(F),
      reconstruct: kind === "reconstruction",
    };
    changes.set(dictionary, change);
    if (kind === "reconstruction") continue;
    change.strength[feature] = 1 - factor;
    if (kind === "mean") change.level[feature] = known.mean[feature] ?? 0;
  }
  return changes;
}
