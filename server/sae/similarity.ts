import { invariant } from "../common/errors.ts";
import type { Pacer } from "../common/pacer.ts";
import type { Random } from "../common/random.ts";
import { type DictionarySimilarity, meanMaxCosine } from "./assignment.ts";
import type { Sae } from "./sae.ts";

/**
 * Similarity of two dictionaries of one layer: pairs every feature of the small one with a feature of its own in the
 * big one, by their decoder directions, so that the sum of cosines is largest. Features that appear in both sizes
 * are likelier to belong to the model than to the training (Marks et al., section 3.2). Matches are sorted, the most
 * similar first.
 */
export function dictionarySimilarity(small: Sae, big: Sae, pacer?: Pacer): Promise<DictionarySimilarity> {
  return meanMaxCosine(small.decoder, big.decoder, small.D, pacer);
}

/** Chance level of the paper's measure at these sizes: mean max cosines of unrelated dictionaries. */
export interface SimilarityBaseline {
  /** Between the small dictionary and a big one of random directions. */
  readonly withRandom: number;
  /** Between a small and a big dictionary, both of random directions. */
  readonly random: number;
}

/**
 * Computes the baseline of two dictionaries; directions are uniform over the sphere, each dictionary drawn from a
 * stream of its own.
 */
export async function similarityBaseline(
  small: Sae,
  big: Pick<Sae, "D" | "F">,
  random: Random,
  pacer?: Pacer,
): Promise<SimilarityBaseline> {
  const { D, F } = small;
  invariant(D === big.D, `dictionaries of one layer have one width, got ${D} and ${big.D}`);
  const others = randomDirections(big.F, D, random.fork("big"));
  return {
    withRandom: (await meanMaxCosine(small.decoder, others, D, pacer)).mean,
    random: (await meanMaxCosine(randomDirections(F, D, random.fork("small")), others, D, pacer)).mean,
  };
}

/** [F, D]; a row's direction is uniform over the sphere, its length is not one. */
function randomDirections(F: number, D: number, random: Random): Float32Array {
  return new Float32Array(F * D).map(() => random.normal());
}
