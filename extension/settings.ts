/**
 * The table of all settings: values, default and scope. package.json declares the same to VS Code; a test compares the
 * two.
 */
import * as vscode from "vscode";
import * as z from "zod";
import type { ServerSettings } from "../server/protocol/lens-state.ts";
import { LensUnit } from "../server/protocol/lens-unit.ts";
import { ReadingChoice } from "../server/protocol/reading-mode.ts";
import { RunPlace } from "../server/protocol/runs.ts";

/** Where VS Code reads a setting from: `machine` and `application` settings never from an opened folder. */
export type SettingScope = "application" | "machine" | "machine-overridable" | "window" | "resource";

interface Setting<S extends z.ZodType> {
  readonly schema: S;
  readonly scope: SettingScope;
}

function setting<S extends z.ZodType>(scope: SettingScope, schema: S): Setting<S> {
  return { schema, scope };
}

export const settings = {
  runsFolders: setting("window", z.array(z.string()).max(100).default(["runs"])),
  languages: setting(
    "window",
    z
      .array(z.string())
      .max(200)
      .default(["plaintext", "markdown", "jsonl", "latex", "tex", "restructuredtext", "csv", "tsv"]),
  ),
  csvColumns: setting("window", z.array(z.string().max(300)).max(200).default([])),
  device: setting("machine-overridable", z.enum(["auto", "cpu", "gpu"]).default("auto")),
  threads: setting("machine-overridable", z.int().min(0).max(256).default(0)),
  runOn: setting("machine", RunPlace.default("local")),
  reading: setting("window", ReadingChoice.default("auto")),
  "overlay.unit": setting("window", LensUnit.default("word")),
  "overlay.numbers": setting("window", z.enum(["off", "lineEnd", "word", "above"]).default("off")),
  "overlay.delayMs": setting("window", z.int().min(0).max(5000).default(200)),
  "overlay.maxTokens": setting("window", z.int().min(100).max(20_000).default(4000)),
  fadeUnfamiliar: setting("window", z.boolean().default(true)),
  "problems.enabled": setting("window", z.boolean().default(true)),
  "problems.threshold": setting("window", z.number().min(0).max(10).default(0.5)),
  "problems.limit": setting("window", z.int().min(1).max(1000).default(100)),
  "completions.maxNewTokens": setting("window", z.int().min(1).max(512).default(40)),
  "completions.temperature": setting("window", z.number().min(0).max(10).default(0.7)),
  "completions.seed": setting("window", z.int().min(0).max(2_147_483_647).default(1)),
  "chatTools.enabled": setting("application", z.boolean().default(false)),
  "explain.endpoint": setting("machine", z.string().max(2000).default("https://api.openai.com/v1")),
  "explain.model": setting("machine", z.string().max(200).default("gpt-4.1")),
  "explain.inputUsd": setting("machine", z.number().min(0).max(10_000).default(2)),
  "explain.outputUsd": setting("machine", z.number().min(0).max(10_000).default(8)),
  "explain.capUsd": setting("machine", z.number().min(0).max(10_000).default(1)),
} as const;

export type SettingName = keyof typeof settings;
export type SettingValue<N extends SettingName> = z.output<(typeof settings)[N]["schema"]>;

export const section = "lfpLens";

/** Reads a setting; returns its default if the configured value is invalid. */
export function readSetting<N extends SettingName>(name: N): SettingValue<N>;
export function readSetting(name: SettingName): unknown {
  const { schema } = settings[name];
  const found = schema.safeParse(vscode.workspace.getConfiguration(section).get(name));
  return found.success ? found.data : schema.parse(undefined);
}

/** The settings that the server needs. */
export function serverSettings(): z.output<typeof ServerSettings> {
  return {
    problems: {
      enabled: readSetting("problems.enabled"),
      threshold: readSetting("problems.threshold"),
      limit: readSetting("problems.limit"),
    },
    reading: readSetting("reading"),
    fadeUnfamiliar: readSetting("fadeUnfamiliar"),
    csvColumns: readSetting("csvColumns"),
    device: readSetting("device"),
    threads: readSetting("threads"),
    runOn: readSetting("runOn"),
  };
}
