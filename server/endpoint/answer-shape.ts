/** The shape of an answer: how an endpoint is asked for JSON of a schema, and how such JSON is found in what it says. */
import { z } from "zod";
import { schemaProblems } from "../common/schema-problems.ts";
import type { Format } from "./forms.ts";
import { jsonIn } from "./json-text.ts";
import type { Outcome } from "./outcome.ts";
import { inertLine } from "./plain-text.ts";

/** Of several values, takes the last that fits the schema. */
export function understood<T>(text: string, schema: z.ZodType<T>): Outcome<T> {
  const found = jsonIn(text);
  for (const json of found.toReversed()) {
    const parsed = schema.safeParse(json);
    if (parsed.success) return { kind: "answer", value: parsed.data };
  }
  if (found.length === 0) return { kind: "none", reason: "no JSON could be found in it" };
  const { error } = schema.safeParse(found.at(-1));
  return { kind: "none", reason: inertLine(error === undefined ? "" : schemaProblems(error), 300) };
}

export interface Message {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/** Describes the shape in words to a server without schemas. */
export function withShape(messages: readonly Message[], schema: z.ZodType, format: Format): Message[] {
  if (format === "schema") return [...messages];
  const shape = shapeInWords(schema);
  return messages.map((message, at) =>
    at === 0 ? { ...message, content: `${message.content}\n\n${shape}` } : message,
  );
}

/** Asks for an answer of a shape. */
export function shapeInWords(schema: z.ZodType): string {
  return `Answer with one JSON object of this schema and nothing else: ${JSON.stringify(jsonSchemaOf(schema))}`;
}

/** The request's field for the shape of its answer; none where the server takes text only. */
export function formatField(format: Format, { name, schema }: { readonly name: string; readonly schema: z.ZodType }) {
  if (format === "text") return {};
  if (format === "object") return { response_format: { type: "json_object" as const } };
  const json_schema = { name, strict: true, schema: jsonSchemaOf(schema) };
  return { response_format: { type: "json_schema" as const, json_schema } };
}

function jsonSchemaOf(schema: z.ZodType): Record<string, unknown> {
  const { $schema: _, ...rest } = z.toJSONSchema(schema);
  return rest;
}
