import { type DictionarySimilarity, meanMaxCosine } from "./assignment.ts";
import type { Sae } from "./sae.ts";

/**
 * How alike two dictionaries of one layer are: every feature of the small one is paired with a feature of its own in the big one by the
 * directions that the decoders write, so that the cosines add up to the most possible. Features that appear in both sizes are likelier to be
 * the model's than the training's (Marks et al., section 3.2). Matches are sorted, the most similar first.
 */
export function dictionarySimilarity(small: Sae, big: Sae): DictionarySimilarity {
  return meanMaxCosine(small.decoder, big.decoder, small.D);
}
