/** Advice to whoever names another kind than the preset's and leaves its settings out. */
import { type ExperimentIssue, issueAt } from "./issues.ts";
import { isObject, type Json, type JsonObject } from "./merge.ts";
import type { PresetSettings } from "./preset-settings.ts";
import { experimentPresets, presetNames } from "./presets.ts";

/** As many missing settings of one section are said in one sentence. */
const FEWEST = 3;

/**
 * The issues, of which many missing settings of a section whose `kind` differs from the preset's become one: it names the
 * presets that have the kind.
 */
export function withPresetsOfKinds(
  issues: readonly ExperimentIssue[],
  file: JsonObject,
  preset: PresetSettings,
): ExperimentIssue[] {
  const sections = Object.entries(file).flatMap(([section, value]) => {
    const kind = isObject(value) ? value["kind"] : undefined;
    return typeof kind === "string" && kind !== kindOf(preset, section) ? [{ section, kind }] : [];
  });
  return sections
    .reduce<readonly ExperimentIssue[]>((left, { section, kind }) => joined(left, section, kind), issues)
    .slice();
}

function joined(issues: readonly ExperimentIssue[], section: string, kind: string): readonly ExperimentIssue[] {
  const missing = issues.filter(
    ({ keys, message }) => keys.length === 2 && keys[0] === section && message.startsWith("is missing;"),
  );
  if (missing.length < FEWEST) return issues;
  const having = presetNames.filter((name) => kindOf(experimentPresets[name].settings, section) === kind);
  const advice =
    having.length === 0
      ? "give them too"
      : `take a preset that has them (${having.slice(0, 3).join(", ")}${having.length > 3 ? ", ..." : ""}) or give them too`;
  const fields = missing.map(({ keys }) => String(keys[1])).join(", ");
  const message = `is of kind "${kind}", which the preset's is not, so that its other settings are missing (${fields}): ${advice}`;
  return [issueAt([section], message), ...issues.filter((issue) => !missing.includes(issue))];
}

function kindOf(settings: PresetSettings, section: string): Json | undefined {
  const value = Object.entries(settings).find(([name]) => name === section)?.[1];
  const kind: unknown = typeof value === "object" && value !== null && "kind" in value ? value.kind : undefined;
  return typeof kind === "string" ? kind : undefined;
}
