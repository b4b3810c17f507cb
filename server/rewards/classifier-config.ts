/** Settings of a text classifier or reward model as feedback. The descriptions also reach the JSON Schema of the experiment file. */
import { z } from "zod";
import { wholeTextFields } from "./whole-text-fields.ts";

export const ClassifierConfig = z
  .strictObject({
    kind: z
      .literal("classifier")
      .describe(
        "A text classifier or reward model: DistilBERT, BERT or RoBERTa, a model of an architecture that can be tuned here with a classification head, or any classifier with an onnx/model.onnx.",
      ),
    model: z
      .string()
      .min(1)
      .describe("Its folder (./ and ../ are relative to the experiment file) or hub id, as model is given."),
    label: z
      .string()
      .min(1)
      .nullable()
      .default(null)
      .describe("The label whose output is the reward, by its name in config.json; null: the only one."),
    output: z
      .enum(["logit", "probability"])
      .default("logit")
      .describe(
        "What the label gives: its raw logit (the paper's code, and TRL's example with DistilBERT), or its probability (softmax over the labels; the sigmoid of a single label, and of each where config.json says multi_label_classification).",
      ),
    scale: z
      .number()
      .min(-1000)
      .max(1000)
      .default(1)
      .describe(
        "What the output is multiplied with. Logits reach about 3 in size; KL targets of the presets were set for VADER's rewards, about 1.",
      ),
    ...wholeTextFields,
  })
  .readonly();
export type ClassifierConfig = z.infer<typeof ClassifierConfig>;
