import { LfpError } from "../../common/errors.ts";
import { visibleLine } from "../../common/untrusted-text.ts";

/** The folder holds no tokenizer.json. */
export class TokenizerNotFoundError extends LfpError {
  readonly code = "not-found";

  constructor(path: string, cause: unknown) {
    super(
      `there is no ${path}. A checkpoint needs its tokenizer beside its weights: copy tokenizer.json from the model it was ` +
        'tuned from, or, where there is only vocab.json and merges.txt, save it in Python with AutoTokenizer.from_pretrained("FOLDER").save_pretrained("FOLDER").',
      { cause },
    );
  }
}

/** tokenizer.json or tokenizer_config.json cannot be read, or contradicts itself. */
export class TokenizerFileError extends LfpError {
  readonly code = "input";

  constructor(path: string, problem: string, options?: ErrorOptions) {
    super(`${path}: ${problem}. Copy the file again from the model it belongs to.`, options);
  }
}

/** The tokenizer is well formed, but exact offsets are not guaranteed for its pipeline. */
export class UnsupportedTokenizerError extends LfpError {
  readonly code = "input";

  constructor(path: string, got: string) {
    super(
      `${path}: ${visibleLine(got)} is not supported. Supported are byte-level BPE without prefix space, normaliser none or NFC, split as ` +
        "GPT-2 (GPT-Neo, GPT-NeoX, Pythia, SmolLM2) or as Llama 3 (OLMo 2, Qwen 2 and 3), and BPE with byte fallback (normaliser Replace of spaces by " +
        "U+2581, no prepended space: Gemma). Use a checkpoint of one of these families.",
    );
  }
}

/** A text that cannot be tokenised. A caller that reads many texts skips it, and reports which it skipped. */
export abstract class UnreadableTextError extends LfpError {
  readonly code = "input";
}

/** The tokens of a text do not spell the text, so its offsets cannot be trusted. */
export class TokenizerDriftError extends UnreadableTextError {
  constructor(got: string) {
    super(
      `the tokenizer does not reproduce the text: ${got}. Offsets would be wrong, so none are given. Its vocabulary probably lacks ` +
        "single bytes; use the tokenizer.json that was published with the model.",
    );
  }
}

/** A character with so many combining marks that normalising the text would take too long. */
export class CombiningRunError extends UnreadableTextError {
  /** `before`: the text before the marks. */
  constructor(before: string, longest: number) {
    const after = before === "" ? "" : ` after ${visibleLine(JSON.stringify(before.slice(-20).toWellFormed()), 60)}`;
    super(
      `the text has more than ${longest} combining marks in a row${after}, which Unicode normalisation cannot handle in reasonable time. ` +
        "Remove the marks.",
    );
  }
}

/** The tokenizer can produce ids for which the model has no embedding. */
export class VocabularyMismatchError extends LfpError {
  readonly code = "input";

  constructor(largestId: number, vocabSize: number) {
    super(
      `the tokenizer's ids go up to ${largestId}, but the model's vocab_size is ${vocabSize}, so ids must stay below ${vocabSize}. ` +
        "They belong to different models: put the tokenizer.json of this model beside its config.json.",
    );
  }
}

/** An id for which the tokenizer has no token. */
export class TokenIdError extends LfpError {
  readonly code = "input";

  constructor(id: number, vocabSize: number) {
    super(
      `there is no token with id ${id}: this tokenizer's ids are whole numbers from 0 to ${vocabSize - 1}. ` +
        "The ids come from another tokenizer, or from rows that pad the model's vocabulary.",
    );
  }
}
