/** A tuner's or trainer's checkpoint, kept in memory. */
import type { Checkpoint, CheckpointContent } from "../../server/runs/stage.ts";

/** What a capture gives at this moment: later steps do not change it. */
export async function collected({ state, files = {} }: CheckpointContent): Promise<Checkpoint> {
  const bytes = new Map<string, Uint8Array>();
  for (const [name, content] of Object.entries(files)) {
    const parts: Uint8Array[] = [];
    if (typeof content === "string") parts.push(Buffer.from(content));
    else if (content instanceof Uint8Array) parts.push(content);
    else for await (const part of content) parts.push(part.slice());
    bytes.set(name, Buffer.concat(parts));
  }
  return {
    state,
    fileNames: [...bytes.keys()],
    read: async (name) => {
      const found = bytes.get(name);
      if (found === undefined) throw new Error(`the state has no file ${name}`);
      return found;
    },
  };
}
