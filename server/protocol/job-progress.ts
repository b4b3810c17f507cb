/**
 * Progress notifications for long jobs (explanations, measurements). A file of its own because the editor listens from
 * its start.
 */
import * as z from "zod";
import { defineNotification } from "./message.ts";

/** Server to editor: the progress of a long request. */
export const JobProgress = defineNotification(
  "lfp/jobProgress",
  z.object({ job: z.string(), done: z.number(), total: z.number(), message: z.string() }),
);
