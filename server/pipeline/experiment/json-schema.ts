/**
 * The JSON Schema of experiment files, for editors; `npm run build:schema` writes it to schemas/experiment.schema.json.
 */
import { z } from "zod";
import { isObject, type Json, type JsonObject, wholeMembers } from "./merge.ts";
import { experimentPresets, presetNames } from "./presets.ts";
import { experimentFields } from "./schema.ts";

/**
 * JSON Schema (draft 7) of a file: every member except `preset` is optional, because the preset supplies it. Only
 * `parseExperiment` checks rules between fields.
 */
export function experimentJsonSchema(): JsonObject {
  const whole = partial(z.json().parse(z.toJSONSchema(experimentFields, { io: "input", target: "draft-7" })));
  const root = isObject(whole) ? whole : {};
  const properties = isObject(root["properties"]) ? root["properties"] : {};
  const preset = {
    ...(isObject(properties["preset"]) ? properties["preset"] : {}),
    enum: [...presetNames],
    enumDescriptions: presetNames.map((name) => experimentPresets[name].about),
  };
  return {
    ...root,
    title: "LFP Lens experiment",
    properties: {
      $schema: { type: "string", description: "This schema, for editors." },
      ...properties,
      preset,
      ...olderProperties,
    },
    required: ["preset"],
  };
}

/** Deprecated members: still read, but editors strike them through. */
const olderProperties: JsonObject = {
  ppo: older({ type: "object" }, "tuning, sampling and text"),
  tuned: older({ anyOf: [{ type: "string" }, { type: "null" }] }, 'tuning, as { "kind": "given", "model": ... },'),
};

function older(schema: JsonObject, today: string): JsonObject {
  return { ...schema, deprecationMessage: `An older form, which is still read: ${today} say the same.` };
}

/** Whether a section is deprecated. */
export function isOlder(schema: Json | undefined): boolean {
  return isObject(schema) && schema["deprecationMessage"] !== undefined;
}

/** Cached: a file can have a hundred issues, and each asks for keys. */
let made: JsonObject | undefined;

/**
 * The keys that an object at a path of an experiment may have, for the shape that `value` selects; empty if the path is
 * not an object.
 */
export function keysAt(path: readonly PropertyKey[], value?: Json): string[] {
  made ??= experimentJsonSchema();
  let at: readonly Json[] = [made];
  for (const key of path) at = at.flatMap(shapesOf).flatMap((shape) => memberOf(shape, key));
  const shapes = at.flatMap(shapesOf);
  const said = shapes.filter((shape) => isSaidBy(value, shape));
  const keys = (said.length > 0 ? said : shapes).flatMap(({ properties }) =>
    isObject(properties) ? Object.entries(properties).flatMap(([key, member]) => (isOlder(member) ? [] : [key])) : [],
  );
  return [...new Set(keys)];
}

/** Whether a value has the constants of a shape, such as its `kind`. */
function isSaidBy(value: Json | undefined, { properties }: JsonObject): boolean {
  if (!isObject(value) || !isObject(properties)) return false;
  return Object.entries(properties).every(
    ([key, member]) => !isObject(member) || member["const"] === undefined || member["const"] === value[key],
  );
}

/**
 * Makes a schema's members optional where a preset completes them; drops defaults, which presets supply, and bounds
 * that only restate the range of JSON numbers.
 */
function partial(schema: Json, isWhole = false): Json {
  if (Array.isArray(schema)) return schema.map((item) => partial(item, isWhole));
  if (!isObject(schema)) return schema;
  const entries = Object.entries(schema).flatMap(([key, value]): [string, Json][] => {
    if (key === "properties" && isObject(value)) return [[key, partialMembers(value, isWhole)]];
    if (key === "readOnly" || (key === "default" && !isWhole) || (key === "required" && !isWhole)) return [];
    if ((key === "maximum" || key === "minimum") && Math.abs(Number(value)) === Number.MAX_SAFE_INTEGER) return [];
    return [[key === "oneOf" ? "anyOf" : key, partial(value, isWhole)]];
  });
  return Object.fromEntries(entries);
}

function partialMembers(properties: JsonObject, isWhole: boolean): JsonObject {
  return Object.fromEntries(
    Object.entries(properties).map(([name, member]) => [name, partial(member, isWhole || wholeMembers.has(name))]),
  );
}

/** The shapes that a schema's value may have. */
export function shapesOf(schema: Json): JsonObject[] {
  if (!isObject(schema)) return [];
  const { anyOf } = schema;
  return Array.isArray(anyOf) ? anyOf.flatMap(shapesOf) : [schema];
}

function memberOf({ properties, items }: JsonObject, key: PropertyKey): Json[] {
  if (typeof key === "number") return items === undefined ? [] : [items];
  const member = isObject(properties) && typeof key === "string" ? properties[key] : undefined;
  return member === undefined ? [] : [member];
}
