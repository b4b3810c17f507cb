/** How a graded contrast came about: a line's `provenance`. */
import { z } from "zod";
import { gradedTasks, highestGrade, lowestGrade } from "./gradings.ts";
import { type NeutralFault, neutralFaults } from "./reasons.ts";

export const gradedSides = ["positive", "neutral", "negative"] as const;
export type GradedSide = (typeof gradedSides)[number];

const graded = z.strictObject({ grade: z.int().min(lowestGrade).max(highestGrade), why: z.string() });

/** What the server said about the completion; null where it said nothing. */
const request = z
  .strictObject({
    id: z.string().nullable(),
    model: z.string().nullable(),
    provider: z.string().nullable(),
    fingerprint: z.string().nullable(),
    temperature: z.literal(0).nullable(),
  })
  .nullable();

/** Grades of a contrast's sides, shown to the grader in this order. */
const gradingSchema = z.strictObject({
  order: z.array(z.enum(gradedSides)),
  grades: z.partialRecord(z.enum(gradedSides), graded),
  request,
});
export type SideGrading = z.infer<typeof gradingSchema>;

export const gradedProvenance = z.strictObject({
  kind: z.literal("graded"),
  task: z.enum(gradedTasks),
  /** Origin of the server. */
  endpoint: z.string(),
  model: z.string(),
  /** Version of the questions. */
  prompts: z.int(),
  seed: z.int(),
  /** The answer of the data set that stands as it was; the other one was rewritten. */
  kept: z.enum(["chosen", "rejected"]),
  /** The answers as they stood in the data set, shown to the grader in this order. */
  found: z.strictObject({ order: z.array(z.enum(["chosen", "rejected"])), chosen: graded, rejected: graded, request }),
  /** Null where the other answer had the highest grade and a fitting length, and stands as it was. */
  rewritten: z.strictObject({ wanted: z.int(), request }).nullable(),
  neutral: z.union([
    z.strictObject({ request }),
    z.strictObject({ fault: z.enum(Object.keys(neutralFaults) as [NeutralFault, ...NeutralFault[]]) }),
  ]),
  /** The grading that counts, and the second one, in the opposite order. */
  gradings: z.tuple([gradingSchema, gradingSchema]),
});
export type GradedProvenance = z.infer<typeof gradedProvenance>;
