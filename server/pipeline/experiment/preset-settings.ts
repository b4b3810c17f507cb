import type { z } from "zod";
import type { experimentFields } from "./schema.ts";

/** A preset's settings: all fields except its own name and the run's. */
export type PresetSettings = Omit<z.output<typeof experimentFields>, "preset" | "name">;

export interface ExperimentPreset {
  /** One sentence for lists and editors. */
  readonly about: string;
  readonly settings: PresetSettings;
}
