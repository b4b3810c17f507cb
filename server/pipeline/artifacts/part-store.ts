import { z } from "zod";
import type { PartStore } from "../../probe/saved-parts.ts";
import type { StageContext } from "../../runs/stage.ts";

/** A store of finished parts, `total` in all, which are the stage's checkpoint. */
export function partStore(
  { resumed, stepDone, progress }: Pick<StageContext<unknown, never>, "resumed" | "progress" | "stepDone">,
  total: number,
): PartStore {
  const parts = z.record(z.string(), z.unknown()).parse(resumed?.state ?? {});
  return {
    find: (name) => parts[name],
    save: async (name, result) => {
      parts[name] = result;
      progress(Object.keys(parts).length, total, "parts");
      await stepDone(() => ({ state: parts }));
    },
  };
}
