/** The static shapes in which pairs are read. */
import type { BatchShape } from "./completion-batch.ts";
import { placesOf, type TokenPair } from "./pair-batch.ts";

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
