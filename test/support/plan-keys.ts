/** What a plan puts into the keys of its stages: a change of one makes a finished run compute that stage anew. Contents of inputs and versions of code stay out. */
import { fileURLToPath } from "node:url";
import { canonicalDigest } from "../../server/runs/canonical-json.ts";
import { isPlanned, type PlannedStage } from "../../server/runs/stage.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** A digest a stage, by its id. Paths of this checkout do not count. */
export function planKeys(plan: readonly PlannedStage[]): Record<string, string> {
  const keys = new Map<string, string>();
  const visit = ({ id, stage, settings, inputs, seed }: PlannedStage): void => {
    const from = Object.entries(inputs).map(([name, input]) => {
      if (!isPlanned(input)) return [name, "outside"] as const;
      visit(input);
      return [name, input.id] as const;
    });
    const made = { stage: stage.name, settings: withoutRoot(settings) };
    keys.set(id, canonicalDigest({ ...made, inputs: Object.fromEntries(from), seed: seed ?? null }));
  };
  for (const stage of plan) visit(stage);
  return Object.fromEntries([...keys].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function withoutRoot(settings: unknown): unknown {
  return JSON.parse(JSON.stringify(settings).replaceAll(root, "ROOT/"));
}
