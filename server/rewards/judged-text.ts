/** Which text feedback judges, as every kind of feedback has it in its settings. */
import { z } from "zod";
import type { JudgedText } from "./reward.ts";

export const judgedTextSchema = z
  .enum(["completion", "full"] satisfies JudgedText[])
  .describe("What is scored: the completion alone (the paper's code), or prompt and completion (the paper's text).");
