/** The JSON Schema of sweep files, for editors; `npm run build:schema` writes it to schemas/lfp-sweep.schema.json. */
import { z } from "zod";
import { experimentJsonSchema, isOlder, shapesOf } from "../experiment/json-schema.ts";
import { isObject, type Json, type JsonObject } from "../experiment/merge.ts";
import { presetNames } from "../experiment/presets.ts";
import { sweepFields } from "./schema.ts";

/**
 * JSON Schema (draft 7) of a sweep file. Under `grid` and `list` it names every field of experiments by its dotted path,
 * with the values that the field may have. Only `parseSweep` checks rules between fields.
 */
export function sweepJsonSchema(): JsonObject {
  const made = z.json().parse(z.toJSONSchema(sweepFields, { io: "input", target: "draft-7" }));
  const root = isObject(made) ? made : {};
  const properties = isObject(root["properties"]) ? root["properties"] : {};
  const { $schema, ...experiment } = experimentJsonSchema();
  const fields = fieldsOf(experiment);
  const about = (name: string): JsonObject => {
    const { description } = Object(properties[name]);
    return { description };
  };
  const byField = (wrap: (field: Json) => Json): JsonObject => ({
    type: "object",
    properties: Object.fromEntries([...fields.keys()].map((path) => [path, wrap({ $ref: `#/definitions/${path}` })])),
    additionalProperties: false,
  });
  return {
    ...root,
    title: "LFP Lens sweep",
    properties: {
      $schema: { type: "string", description: "This schema, for editors." },
      ...properties,
      base: {
        ...about("base"),
        anyOf: [{ type: "string", minLength: 1, examples: [...presetNames] }, { $ref: "#/definitions/experiment" }],
      },
      grid: { ...about("grid"), ...byField((field) => ({ type: "array", minItems: 1, items: field })) },
      list: { ...about("list"), type: "array", minItems: 1, items: byField((field) => field) },
    },
    definitions: { experiment, ...Object.fromEntries(fields) },
  };
}

/** Lists the keys that an object at a path of a sweep may have. */
export function sweepKeysAt(path: readonly PropertyKey[]): readonly string[] {
  return path.length === 0 ? Object.keys(sweepFields.shape) : [];
}

/** The schema of every field that can be varied, by its dotted path, in the order of the experiment's schema. */
function fieldsOf(schema: Json): Map<string, Json> {
  const found = new Map<string, JsonObject[]>();
  const visit = (at: Json, path: string): void => {
    for (const { properties } of shapesOf(at)) {
      if (!isObject(properties)) continue;
      for (const [key, member] of Object.entries(properties)) {
        const inner = path === "" ? key : `${path}.${key}`;
        if (!isObject(member) || isOlder(member) || ["$schema", "name", "seed"].includes(inner)) continue;
        found.set(inner, [...(found.get(inner) ?? []), member]);
        visit(member, inner);
      }
    }
  };
  visit(schema, "");
  return new Map([...found].map(([path, members]) => [path, anyOf(members)]));
}

/** One schema for a field that several shapes have. */
function anyOf(members: readonly JsonObject[]): Json {
  const [first] = members;
  const different = [...new Map(members.map((member) => [JSON.stringify(member), member])).values()];
  if (different.length === 1 || first === undefined) return first ?? {};
  const { description = "" } = first;
  return { description, anyOf: different };
}
