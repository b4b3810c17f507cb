import type { ExampleWindow, FeatureCase } from "../../explain/types.ts";
import type { StoredExample } from "../../store/read.ts";
import type { FeatureStore } from "../../store/store.ts";
import type { ExampleKind, ExampleSplit } from "../../store/writer.ts";

/** How explainers use each kind of example; detection skips the very strongest, which are the easiest. */
const uses: { readonly [S in ExampleSplit]: { readonly [K in ExampleKind]: "active" | "silent" | "unused" } } = {
  explain: {
    top: "active",
    q4: "active",
    q3: "active",
    q2: "active",
    q1: "active",
    silent: "silent",
    random: "silent",
  },
  score: { top: "unused", q4: "active", q3: "active", q2: "active", q1: "active", silent: "silent", random: "silent" },
};

/** A stored feature in the form that explainers take. Throws `NoFeatureError`. */
export function featureCase(store: FeatureStore, id: string): FeatureCase {
  const { row, promotes } = store.need(id);
  const examples = store.examples(id);
  const windows = (split: ExampleSplit, use: "active" | "silent"): ExampleWindow[] =>
    examples.filter((example) => example.split === split && uses[split][example.kind] === use).map(windowOf);
  return {
    id,
    maxActivation: row.maxActivation,
    promotes: promotes.map(({ token }) => token.replaceAll("·", " ").trim()),
    explain: { active: windows("explain", "active"), silent: windows("explain", "silent") },
    score: { active: windows("score", "active"), silent: windows("score", "silent") },
  };
}

function windowOf({ tokens, activations }: StoredExample): ExampleWindow {
  return { tokens, activations };
}
