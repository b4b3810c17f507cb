import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { z } from "zod";
import { type ErrorCode, LfpError, messageOf } from "../../common/errors.ts";
import { parseJson } from "../../common/json.ts";
import { readTextFile } from "../../common/text-file.ts";
import { ExperimentError, issueAt, issuesOf } from "./issues.ts";
import { keysAt } from "./json-schema.ts";
import { textIssues } from "./json-text.ts";
import { withPresetsOfKinds } from "./kind-advice.ts";
import { isObject, type Json, type JsonObject, mergeOverrides } from "./merge.ts";
import { fromOlderForm } from "./older-form.ts";
import { type ExperimentPreset, experimentPresets, presetNames } from "./presets.ts";
import { type Experiment, experimentSchema } from "./schema.ts";

export interface ParseOptions {
  /** Name of the experiment in messages. */
  readonly name?: string;
  /** The folder that relative paths start from; the working directory by default. */
  readonly folder?: string;
}

/** The experiment file is missing or unreadable. */
export class ExperimentFileError extends LfpError {
  readonly code: ErrorCode;

  /** `expected` says what to give instead. */
  constructor(path: string, cause: unknown, expected: string) {
    super(`${path} cannot be read: ${messageOf(cause)}. Give the path of ${expected}.`, { cause });
    this.code = cause instanceof LfpError ? cause.code : "not-found";
  }
}

/**
 * Reads an experiment file; its relative paths start from its own folder. Throws `ExperimentFileError` and
 * `ExperimentError`.
 */
export async function loadExperiment(path: string): Promise<Experiment> {
  return parseExperiment(await experimentText(path), { name: path, folder: dirname(resolve(path)) });
}

/** The text of an experiment file, or of what `expected` names. Throws `ExperimentFileError`. */
export async function experimentText(path: string, expected = anExperiment): Promise<string> {
  return await readTextFile(path, "experiment").catch((cause: unknown) => {
    throw new ExperimentFileError(path, cause, expected);
  });
}

const anExperiment = `an experiment file, or a preset: ${presetNames.join(", ")}`;

/**
 * The complete, validated experiment of a file's text or parsed contents: its preset with the file's overrides and
 * absolute paths. Idempotent: parsing the result returns it. Throws `ExperimentError` naming every error.
 */
export function parseExperiment(source: string | object, options: ParseOptions = {}): Experiment {
  const { name = "this", folder = process.cwd() } = options;
  const { $schema, ...file } = objectOf(source, name);
  const preset = presetOf(file["preset"], name);
  const overrides = fromOlderForm(file, preset.settings, name);
  const merged = mergeOverrides({ name: preset.name, ...preset.settings }, overrides);
  const { data: experiment, error } = experimentSchema.safeParse(merged);
  if (experiment === undefined)
    throw new ExperimentError(name, withPresetsOfKinds(issuesOf(error, merged, keysAt), overrides, preset.settings));
  return withAbsolutePaths(experiment, folder);
}

/** The object of a file's text or parsed contents, unchecked. Throws `ExperimentError` where it is none. */
export function objectOf(source: string | object, name: string): JsonObject {
  const fail = (message: string): never => {
    throw new ExperimentError(name, [issueAt([], message)]);
  };
  const value = typeof source === "string" ? parsedText(source, name) : source;
  const json: Json = z.json().safeParse(value).data ?? fail("holds something that JSON cannot");
  return isObject(json) ? json : fail(`got ${JSON.stringify(json).slice(0, 60)}; expected an object`);
}

/**
 * Parses JSON. Throws `ExperimentError` also for what a parser would silently lose. Ignores a byte order mark, which
 * some editors write.
 */
function parsedText(source: string, name: string): unknown {
  const text = source.replace(/^\uFEFF/, "");
  let value: unknown;
  try {
    value = parseJson(text);
  } catch (cause) {
    throw new ExperimentError(name, [issueAt([], `is not JSON: ${messageOf(cause)}`)]);
  }
  const issues = textIssues(text);
  if (issues.length > 0) throw new ExperimentError(name, issues);
  return value;
}

function presetOf(given: Json | undefined, experiment: string): ExperimentPreset & { readonly name: string } {
  const name = presetNames.find((candidate) => candidate === given);
  if (name !== undefined) return { ...experimentPresets[name], name: name.replaceAll("/", "-") };
  const got = given === undefined ? "is missing" : `got ${JSON.stringify(given)}`;
  throw new ExperimentError(experiment, [issueAt(["preset"], `${got}; expected one of ${presetNames.join(", ")}`)]);
}

function withAbsolutePaths(experiment: Experiment, folder: string): Experiment {
  const { model, tuning, reward, data, analysis, contrasts, sae } = experiment;
  return {
    ...experiment,
    model: absolutePath(model, folder),
    tuning: tuning.kind === "given" ? { ...tuning, model: absolutePath(tuning.model, folder) } : tuning,
    reward: withAbsoluteReward(reward, folder),
    data: withAbsoluteFile(data, folder),
    analysis: analysis === null ? null : withAbsoluteFile(analysis, folder),
    sae: sae.source === null ? sae : { ...sae, source: absoluteFile(sae.source, folder) },
    contrasts: contrasts.file === null ? contrasts : { ...contrasts, file: absoluteFile(contrasts.file, folder) },
  };
}

type WeightedPart = Extract<Experiment["reward"], { kind: "weighted" }>["parts"][number]["reward"];

/** Resolves a model, or the program and its arguments, where they are paths. */
function withAbsoluteReward<T extends Experiment["reward"] | WeightedPart>(reward: T, folder: string): T {
  if ("parts" in reward) {
    const parts = reward.parts.map((part) => ({ ...part, reward: withAbsoluteReward(part.reward, folder) }));
    return { ...reward, parts };
  }
  if ("model" in reward) return { ...reward, model: absolutePath(reward.model, folder) };
  if (!("command" in reward)) return reward;
  return { ...reward, command: reward.command.map((part) => absolutePath(part, folder)) };
}

/**
 * Resolves a path. `owner/name` may be a hub id, and a word of a command anything, so only what starts with a dot is
 * certainly a path.
 */
function absolutePath(reference: string, folder: string): string {
  return /^\.{1,2}([\\/]|$)/.test(reference) ? resolve(folder, reference) : reference;
}

function withAbsoluteFile<T extends Pick<Experiment["data"], "source">>(texts: T, folder: string): T {
  const { source } = texts;
  if (source === "starter" || !("file" in source)) return texts;
  return { ...texts, source: { file: absoluteFile(source.file, folder) } };
}

function absoluteFile(file: string, folder: string): string {
  return file.startsWith("~/") ? join(homedir(), file.slice(2)) : resolve(folder, file);
}
