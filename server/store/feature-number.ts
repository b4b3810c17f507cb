import { type FeatureId, type FeaturePlace, featureId, parseFeatureId } from "../protocol/ablation.ts";

/** Tuned small, tuned big, base small, base big. */
const spaces = [
  { model: "tuned", size: "small" },
  { model: "tuned", size: "big" },
  { model: "base", size: "small" },
  { model: "base", size: "big" },
] as const;

export type Dictionary = Pick<FeaturePlace, "model" | "size" | "layer">;

/** The number of a kind of dictionary, 0 to 3. */
export function spaceOf({ model, size }: Pick<FeaturePlace, "model" | "size">): number {
  return spaces.findIndex((space) => space.model === model && space.size === size);
}

/** The kind of dictionary that has this number. */
export function dictionaryOfSpace(space: number): Pick<FeaturePlace, "model" | "size"> {
  return spaces[space] ?? spaces[0];
}

/**
 * A feature's number, the key of its rows; the same in every store, so that users' rows find their feature after a
 * rebuild.
 */
export function numberOfFeature(place: FeaturePlace): number {
  return numberOfDictionary(place) * featuresAtMost + place.feature;
}

/** A dictionary's number: its features' numbers are this times 2^20, plus the feature. */
export function numberOfDictionary(dictionary: Dictionary): number {
  return dictionary.layer * spaces.length + spaceOf(dictionary);
}

/** As `numberOfFeature`, from an id; undefined for an invalid id. */
export function numberOfId(id: string): number | undefined {
  const place = parseFeatureId(id);
  return place === undefined ? undefined : numberOfFeature(place);
}

export function placeOfNumber(number: number): FeaturePlace {
  const dictionary = Math.floor(number / featuresAtMost);
  const { model, size } = spaces[dictionary % spaces.length] ?? spaces[0];
  return { model, size, layer: Math.floor(dictionary / spaces.length), feature: number % featuresAtMost };
}

export function idOfNumber(number: number): FeatureId {
  return featureId(placeOfNumber(number));
}

/** Upper bound on the features of one dictionary: a feature's index has six digits at most. */
const featuresAtMost = 2 ** 20;
