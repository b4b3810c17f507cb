/** Answers of pairs as completions of one static shape, for what is worked out row by row. */
import type { BatchShape, Episode } from "./completion-batch.ts";
import type { TokenizedAnswer, TokenPair } from "./token-pair.ts";

/**
 * Up to nine shapes, small before large: a quarter, a half and all of the longest prompt and answer. Padding changes
 * results by rounding only, and a given batch always has the same shape.
 */
export function shapesFor(pairs: readonly TokenPair[]): BatchShape[] {
  const most = placesOf(pairs);
  const sizes = (places: number): number[] =>
    [...new Set([4, 2, 1].map((parts) => Math.ceil(places / parts)))].sort((a, b) => a - b);
  return sizes(most.promptPlaces)
    .flatMap((promptPlaces) =>
      sizes(most.completionPlaces).map((completionPlaces) => ({ promptPlaces, completionPlaces })),
    )
    .sort((a, b) => a.promptPlaces + a.completionPlaces - (b.promptPlaces + b.completionPlaces));
}

/** The first of these shapes, small before large, that fits all of these pairs. */
export function smallestShape(shapes: readonly BatchShape[], pairs: readonly TokenPair[]): BatchShape {
  const needed = placesOf(pairs);
  const fits = (shape: BatchShape): boolean =>
    shape.promptPlaces >= needed.promptPlaces && shape.completionPlaces >= needed.completionPlaces;
  return shapes.find(fits) ?? needed;
}

/** The numbers of places that these pairs need. */
export function placesOf(pairs: readonly TokenPair[]): BatchShape {
  const episodes = pairs.flatMap(episodesOf);
  const most = (key: keyof Episode): number => episodes.reduce((found, row) => Math.max(found, row[key].length), 1);
  return { promptPlaces: most("prompt"), completionPlaces: most("completion") };
}

/** The chosen answer and the rejected one as rows of a batch. */
export function episodesOf({ chosen, rejected }: TokenPair): [chosen: Episode, rejected: Episode] {
  return [episodeOf(chosen), episodeOf(rejected)];
}

/** Without a prompt nothing predicts an answer's first token: it becomes the prompt and is not scored. */
function episodeOf({ prompt, answer }: TokenizedAnswer): Episode {
  return prompt.length > 0
    ? { prompt, completion: answer }
    : { prompt: answer.subarray(0, 1), completion: answer.subarray(1) };
}
