/** Where runs are executed: the kinds of executors, and what a user's own file says of each. */
import { homedir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { LfpError } from "../common/errors.ts";
import { parseJson } from "../common/json.ts";
import { schemaProblems } from "../common/schema-problems.ts";
import { readTextFile, WholeFileError } from "../common/text-file.ts";
import { errnoOf, unlessMissing } from "./files.ts";
import { RaySettings } from "./ray/settings.ts";
import { SlurmSettings } from "./slurm/settings.ts";

/** The settings of every kind of executor. A row for each kind of `JobRecord`. */
export const placeSchemas = {
  local: z.strictObject({}),
  slurm: SlurmSettings,
  ray: RaySettings,
} as const;

export type PlaceKind = keyof typeof placeSchemas;
export const placeKinds = Object.keys(placeSchemas).filter(isPlaceKind);

/** What one kind's settings are. */
export type SettingsOf<K extends PlaceKind> = z.output<(typeof placeSchemas)[K]>;
export type PlaceSettings = SettingsOf<PlaceKind>;

/** Which executor to use, with its settings. */
export interface Place {
  readonly executor: PlaceKind;
  readonly settings: PlaceSettings;
}

/** The file of executors has something that it cannot have. */
export class ExecutorFileError extends LfpError {
  readonly code = "usage";
}

/**
 * The file with the settings of executors: `LFP_EXECUTORS`, else `lfp/executors.json` in the user's folder of settings.
 * It belongs to the user or the machine, never to a workspace: it says which commands run where, and at whose cost.
 */
export function executorsFile(env: NodeJS.ProcessEnv = process.env): string {
  const own = env["LFP_EXECUTORS"];
  if (own) return own;
  if (process.platform === "win32") return join(env["APPDATA"] ?? join(homedir(), "AppData", "Roaming"), "lfp", FILE);
  return join(env["XDG_CONFIG_HOME"] || join(homedir(), ".config"), "lfp", FILE);
}

const FILE = "executors.json";

/** An executor with its settings. Throws `ExecutorFileError`. */
export async function readPlace(kind: PlaceKind, env: NodeJS.ProcessEnv = process.env): Promise<Place> {
  return { executor: kind, settings: await readSettings(kind, env) };
}

/**
 * The settings of an executor in the user's file; those of a kind that the file does not mention, or without a file,
 * have their defaults. Throws `ExecutorFileError`.
 */
export async function readSettings<K extends PlaceKind>(
  kind: K,
  env: NodeJS.ProcessEnv = process.env,
): Promise<SettingsOf<K>> {
  const path = executorsFile(env);
  const fail = (reason: string, cause: unknown): never => {
    throw new ExecutorFileError(`${path} cannot be used: ${reason}. docs/cluster.md lists its settings.`, { cause });
  };
  try {
    const text = await unlessMissing(readTextFile(path, "record"));
    const stated: Stated = text === undefined ? {} : StatedPlaces.parse(parseJson(text));
    return stated[kind] ?? typedSchemas[kind].parse({});
  } catch (error) {
    if (error instanceof z.ZodError) return fail(schemaProblems(error), error);
    if (error instanceof SyntaxError || error instanceof WholeFileError || errnoOf(error) !== undefined)
      return fail(error instanceof Error ? error.message : String(error), error);
    throw error;
  }
}

const StatedPlaces = z.strictObject({ $schema: z.string(), ...placeSchemas }).partial();
const typedSchemas: { readonly [K in PlaceKind]: z.ZodType<SettingsOf<K>> } = placeSchemas;
type Stated = { readonly [K in PlaceKind]?: SettingsOf<K> | undefined };

function isPlaceKind(name: string): name is PlaceKind {
  return Object.hasOwn(placeSchemas, name);
}
