import type { z } from "zod";

/** Where parts of a long evaluation are kept, so that a cut one need not begin anew. Every part is plain JSON. */
export interface PartStore {
  /** What was saved under this name, or undefined. */
  find(part: string): unknown;
  save(part: string, result: unknown): Promise<void>;
}

/** Gives a part as it was saved, if it is sound; else computes and saves it. */
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

/** Keeps nothing. */
export const forgetful: PartStore = { find: () => undefined, save: async () => undefined };
