/** Plain JSON data. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

/** Members that select one of several shapes: an override replaces them whole. */
export const wholeMembers: ReadonlySet<string> = new Set(["source", "edits"]);
/** Members whose value selects an object's shape: an override with another value replaces the object whole. */
const shapeMembers: readonly string[] = ["kind", "mode", "from", "rule"];

/**
 * Merges an experiment's overrides into a preset. Objects merge member by member; everything else, including arrays, is
 * replaced. So is an object of another `kind`, `mode`, `from` or `rule`, because its other members belong to that kind.
 */
export function mergeOverrides(preset: Json | undefined, override: Json): Json {
  if (!isObject(preset) || !isObject(override) || isOfOtherShape(preset, override)) return override;
  const merged = Object.entries(override).map(([key, value]): [string, Json] => [
    key,
    wholeMembers.has(key) ? value : mergeOverrides(Object.hasOwn(preset, key) ? preset[key] : undefined, value),
  ]);
  return Object.fromEntries([...Object.entries(preset), ...merged]);
}

/** Whether a value is a JSON object. */
export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isOfOtherShape(preset: JsonObject, override: JsonObject): boolean {
  return shapeMembers.some(
    (key) => override[key] !== undefined && preset[key] !== undefined && override[key] !== preset[key],
  );
}
