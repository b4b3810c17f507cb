import type { z } from "zod";

/** Stores the parts of a long evaluation, so that an interrupted one can resume. Every part is plain JSON. */
export interface PartStore {
  /** The part saved under this name, or undefined. */
  find(part: string): unknown;
  save(part: string, result: unknown): Promise<void>;
}

/** Returns the saved part if it fits the schema; otherwise computes and saves it. */
export type Keep = <T>(name: string, schema: z.ZodType<T>, compute: () => T | Promise<T>) => Promise<T>;

export function keeper(parts: PartStore): Keep {
  return async (name, schema, compute) => {
    const saved = schema.safeParse(parts.find(name));
    if (saved.success) return saved.data;
    const result = await compute();
    await parts.save(name, result);
    return result;
  };
}

/** A store that keeps nothing. */
export const forgetful: PartStore = { find: () => undefined, save: async () => undefined };
