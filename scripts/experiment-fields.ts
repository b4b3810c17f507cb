/** The tables of docs/experiment.md, from the schema and the presets. */
import { experimentJsonSchema, isOlder } from "../server/pipeline/experiment/json-schema.ts";
import { isObject, type Json, type JsonObject } from "../server/pipeline/experiment/merge.ts";
import { experimentPresets, type PresetName } from "../server/pipeline/experiment/presets.ts";

/** Where the tables stand in the page. */
const tablesBegin = "<!-- fields: made by npm run build:schema -->";
const tablesEnd = "<!-- end of fields -->";

/** A field as the tables show it. */
export interface FieldRow {
  /** Such as `tuning.kl.target`. */
  readonly path: string;
  /** Where the field belongs to one shape of several: the member that tells it, such as `tuning.kl.mode`, and its value. */
  readonly shape?: { readonly path: string; readonly value: Json };
  readonly schema: JsonObject;
  readonly description: string;
}

/** The page with its tables made anew. Throws where the markers are missing. */
export function withFieldTables(page: string): string {
  const [before, rest] = page.split(tablesBegin);
  const after = rest?.split(tablesEnd)[1];
  if (before === undefined || after === undefined)
    throw new Error(`docs/experiment.md lacks ${tablesBegin} or ${tablesEnd}`);
  return `${before}${tablesBegin}\n\n${fieldTables()}\n${tablesEnd}${after}`;
}

/** Every field but `preset`, in the order of the schema; those with members stand before them. */
export function fieldRows(): FieldRow[] {
  const rows = rowsOf(experimentJsonSchema(), "").filter(({ schema }) => !isOlder(schema));
  return rows.filter(({ path }) => !["", "$schema", "preset"].includes(path));
}

function fieldTables(): string {
  const rows = fieldRows();
  const top = rows.filter(({ path }) => !path.includes("."));
  const sections = top.filter(({ path }) => rows.some((row) => row.path.startsWith(`${path}.`)));
  const plain = top.filter((row) => !sections.includes(row));
  const tables = sections.map(({ path, description }) => {
    const members = rows.filter((row) => row.path.startsWith(`${path}.`));
    return `### ${path}\n\n${description}\n\n${table(members)}`;
  });
  return [`### The run\n\n${table(plain)}`, ...tables].join("\n");
}

function table(rows: readonly FieldRow[]): string {
  const head = "| field | values | quick | paper | as published | what it is |\n|---|---|---|---|---|---|\n";
  return `${head}${rows.map(rowText).join("")}`;
}

function rowText(row: FieldRow): string {
  const { path, shape, schema, description } = row;
  const names = ["pythia-70m", "pythia-160m", "gpt-neo-125m"] as const;
  const paper = names.map((name) => presetValue(row, `paper/${name}/vader`));
  const published = names.map((name) => presetValue(row, `as-published/${name}/vader`));
  const differs = JSON.stringify(paper) !== JSON.stringify(published);
  const where =
    shape === undefined ? "" : ` where \`${shape.path.split(".").at(-1)}\` is ${JSON.stringify(shape.value)}`;
  const quick = shownAll([presetValue(row, "quick")]);
  const cells = [
    `\`${path}\`${where}`,
    valuesOf(schema),
    quick,
    shownAll(paper),
    differs ? shownAll(published) : "",
    description,
  ];
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|").replaceAll("\n", " ")).join(" | ")} |\n`;
}

function presetValue({ path, shape }: FieldRow, preset: PresetName): Json | undefined {
  const isOfShape = shape === undefined || valueIn(preset, shape.path) === shape.value;
  return isOfShape ? valueIn(preset, path) : undefined;
}

function valueIn(preset: PresetName, path: string): Json | undefined {
  let at: unknown = { preset, name: preset.replaceAll("/", "-"), ...experimentPresets[preset].settings };
  for (const key of path.split(".")) at = typeof at === "object" && at !== null ? Reflect.get(at, key) : undefined;
  return at === undefined ? undefined : JSON.parse(JSON.stringify(at));
}

/** One value where all are equal, all of them in the order of the models otherwise. Sections are shown by their members. */
function shownAll(values: readonly (Json | undefined)[]): string {
  const texts = new Set(
    values.map((value) => (value === undefined || isObject(value) ? "" : `\`${JSON.stringify(value)}\``)),
  );
  return [...texts].filter((text) => text !== "").join(", ");
}

function valuesOf(schema: JsonObject): string {
  const { type, anyOf, minimum, maximum, exclusiveMinimum, exclusiveMaximum, items } = schema;
  if ("const" in schema) return JSON.stringify(schema["const"]);
  if (Array.isArray(schema["enum"])) return schema["enum"].map((value) => JSON.stringify(value)).join(", ");
  if (Array.isArray(anyOf))
    return [...new Set(anyOf.map((shape) => (isObject(shape) ? valuesOf(shape) : "")))].join(" or ");
  if (Array.isArray(type)) return type.map(noun).join(" or ");
  const bounds = [
    typeof exclusiveMinimum === "number" ? `above ${exclusiveMinimum}` : "",
    typeof minimum === "number" ? `from ${minimum}` : "",
    typeof exclusiveMaximum === "number" ? `below ${exclusiveMaximum}` : "",
    typeof maximum === "number" ? `to ${maximum}` : "",
  ].filter((bound) => bound !== "");
  const list = isObject(items) ? ` of ${valuesOf(items)}` : "";
  return [`${noun(type ?? "")}${list}`, ...bounds].join(" ");
}

function noun(type: Json): string {
  if (type === "integer") return "whole number";
  if (type === "boolean") return "true, false";
  return type === "array" ? "list" : String(type);
}

function rowsOf(schema: Json | undefined, path: string): FieldRow[] {
  if (!isObject(schema)) return [];
  const description = typeof schema["description"] === "string" ? schema["description"] : "";
  return [{ path, schema, description }, ...membersOf(schema, path)];
}

function membersOf(schema: JsonObject, path: string): FieldRow[] {
  const { anyOf, properties } = schema;
  const shapes = Array.isArray(anyOf) ? anyOf.filter(isObject) : [];
  if (shapes.length > 0) return [...teller(shapes, path), ...shapes.flatMap((shape) => ownMembers(shape, path))];
  if (!isObject(properties)) return [];
  return Object.entries(properties).flatMap(([key, member]) => rowsOf(member, path === "" ? key : `${path}.${key}`));
}

/** The member whose value tells the shapes apart, as one row. */
function teller(shapes: readonly JsonObject[], path: string): FieldRow[] {
  const constants = shapes.flatMap(constantsOf);
  const [first] = constants;
  if (first === undefined) return [];
  const described = constants.filter((constant) => constant.description !== "");
  const description = described
    .map((constant) => `${JSON.stringify(constant.value)}: ${constant.description}`)
    .join(" ");
  return [{ path: `${path}.${first.key}`, schema: { enum: constants.map(({ value }) => value) }, description }];
}

function ownMembers(shape: JsonObject, path: string): FieldRow[] {
  const [constant] = constantsOf(shape);
  const members = membersOf(shape, path);
  if (constant === undefined) return members;
  const told = { path: `${path}.${constant.key}`, value: constant.value };
  // A member of a shape within the shape is told by the inner one, which only this shape has.
  return members.filter((row) => row.path !== told.path).map((row) => ({ ...row, shape: row.shape ?? told }));
}

function constantsOf({
  properties,
  description = "",
}: JsonObject): { key: string; value: Json; description: string }[] {
  const members = isObject(properties) ? Object.entries(properties) : [];
  return members.flatMap(([key, member]) => {
    if (!isObject(member) || member["const"] === undefined) return [];
    return [{ key, value: member["const"], description: String(member["description"] ?? description) }];
  });
}
