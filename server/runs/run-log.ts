import type { FileSystem } from "./files.ts";
import { JsonLinesFile } from "./json-lines.ts";
import { type Metrics, NonFiniteMetricError } from "./stage.ts";

/**
 * `log.jsonl` as one segment per stage, in the order of the plan. The earlier segments determine where a segment
 * starts, and the stage's output or checkpoint what it contains, so the file is the same however often the run was
 * interrupted.
 */
export class RunLog {
  readonly #file: JsonLinesFile;
  #segmentStart = 0;

  constructor(path: string, files: FileSystem) {
    this.#file = new JsonLinesFile(path, files);
  }

  /** Starts the next stage's segment with the lines `known` so far, replacing any others that the file holds there. */
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

  /** Writes a finished stage's whole segment; keeps what follows it in the file for the later stages. */
  place(segment: Uint8Array): void {
    const end = this.#segmentStart + segment.length;
    if (!this.#file.read(this.#segmentStart, end).equals(segment)) this.begin(segment);
    this.#segmentStart = end;
  }

  /** Truncates the lines of stages that are no longer in the plan. */
  finish(): void {
    if (this.#file.size > this.#segmentStart) this.#file.truncate(this.#segmentStart);
    this.#file.sync();
  }

  close(): void {
    this.#file.close();
  }
}
