import type { FileSystem } from "./files.ts";
import { JsonLinesFile } from "./json-lines.ts";
import { type Metrics, NonFiniteMetricError } from "./stage.ts";

/**
 * `log.jsonl` as one segment a stage, in the order of the plan. Where a stage's segment begins follows from the ones before
 * it, and what it holds from the stage's output or checkpoint, so that the file is the same however often the run was cut.
 */
export class RunLog {
  readonly #file: JsonLinesFile;
  #segmentStart = 0;

  constructor(path: string, files: FileSystem) {
    this.#file = new JsonLinesFile(path, files);
  }

  /** Begins the next stage's segment with what is already known of it, whatever the file held there. */
  begin(known: Uint8Array): void {
    const start = this.#segmentStart;
    const there = this.#file.read(start, start + known.length);
    if (!there.equals(known)) {
      this.#file.truncate(Math.min(start, this.#file.size));
      this.#file.appendBytes(known);
    } else if (this.#file.size > start + known.length) {
      this.#file.truncate(start + known.length);
    }
  }

  /** Appends a line to the segment. */
  append(stage: string, metrics: Metrics): void {
    for (const [name, value] of Object.entries(metrics)) {
      for (const item of Array.isArray(value) ? value : [value]) {
        if (typeof item === "number" && !Number.isFinite(item)) throw new NonFiniteMetricError(stage, name, item);
      }
    }
    this.#file.append({ stage, ...metrics });
  }

  /** The segment so far. */
  segment(): Buffer {
    return this.#file.read(this.#segmentStart, this.#file.size);
  }

  /** Ends the segment. */
  end(): void {
    this.#segmentStart = this.#file.size;
  }

  /** A finished stage's whole segment; what follows it in the file is kept for the stages to come. */
  place(segment: Uint8Array): void {
    const end = this.#segmentStart + segment.length;
    if (!this.#file.read(this.#segmentStart, end).equals(segment)) this.begin(segment);
    this.#segmentStart = end;
  }

  /** Drops what is left of stages that the plan no longer has. */
  finish(): void {
    if (this.#file.size > this.#segmentStart) this.#file.truncate(this.#segmentStart);
    this.#file.sync();
  }

  close(): void {
    this.#file.close();
  }
}
