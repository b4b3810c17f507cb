/** What the editor is told of work that takes longer, an explanation or a measurement. A file of its own, because the editor listens to it from its start. */
import * as z from "zod";
import { defineNotification } from "./message.ts";

/** Server to editor: how far a long request is. */
export const JobProgress = defineNotification(
  "lfp/jobProgress",
  z.object({ job: z.string(), done: z.number(), total: z.number(), message: z.string() }),
);
