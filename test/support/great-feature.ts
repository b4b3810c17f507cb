import type { ExampleWindow, FeatureCase } from "../../server/explain/types.ts";

export function exampleWindow(text: string, active?: string): ExampleWindow {
  const tokens = text.match(/ ?[^ ]+/g) ?? [text];
  return { tokens, activations: tokens.map((token) => (token.trim() === active ? 2 : 0)) };
}

/** A feature that is active on "great" and on nothing else. */
export function greatFeature(id = "L4/F1", extra: readonly string[] = []): FeatureCase {
  const active = Array.from({ length: 20 }, (_, at) => exampleWindow(`film ${at} was great fun`, "great"));
  const silent = Array.from({ length: 20 }, (_, at) => exampleWindow(`film ${at} was awful stuff`));
  const odd = extra.map((text) => exampleWindow(text));
  return {
    id,
    maxActivation: 2,
    promotes: ["good"],
    explain: { active: active.slice(0, 10), silent: [...silent.slice(0, 5), ...odd] },
    score: { active, silent },
  };
}
