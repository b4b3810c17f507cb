/** Requests for runs' features, and change events for the views that show them. */
import * as vscode from "vscode";
import type { z } from "zod";
import type { FeatureId } from "../../server/protocol/ablation.ts";
import type {
  AnnotateFeature,
  DescribeStore,
  FeatureDetail,
  FeatureQuery,
  FeatureRow,
  LocateSource,
  Neighbours,
  QueryFeatures,
} from "../../server/protocol/features.ts";
import { JobProgress } from "../../server/protocol/job-progress.ts";
import type { ServerConnection } from "../server-connection.ts";
import { ServerFailure } from "../server-failure.ts";

/** A feature of a run. */
export interface FeaturePlace {
  readonly runFolder: string;
  readonly id: FeatureId;
}

export type Annotation = Omit<z.input<typeof AnnotateFeature.params>, "runFolder" | "id">;
export type Progress = z.output<typeof JobProgress.params>;

/** Requests features of runs from the server, and fires an event when something about them changes. */
export class FeaturesModel implements vscode.Disposable {
  readonly #server: ServerConnection;
  readonly #changed = new vscode.EventEmitter<string>();
  readonly #progress = new vscode.EventEmitter<Progress>();
  readonly #listening: vscode.Disposable;

  /** Fires with the folder of a run whose features were explained, measured or annotated. */
  readonly onDidChange = this.#changed.event;
  readonly onProgress = this.#progress.event;

  constructor(server: ServerConnection) {
    this.#server = server;
    this.#listening = server.onNotification(JobProgress, (progress) => this.#progress.fire(progress));
  }

  async store(runFolder: string): Promise<z.output<typeof DescribeStore.result>> {
    return await this.#server.request((await messages()).DescribeStore, { runFolder });
  }

  /** Whether a run has a feature store. Unfinished runs and runs of earlier versions have none. */
  async hasStore(runFolder: string): Promise<boolean> {
    try {
      return (await this.store(runFolder)).dictionaries.length > 0;
    } catch (error) {
      if (error instanceof ServerFailure && error.code !== "internal") return false;
      throw error;
    }
  }

  async query(
    runFolder: string,
    query: z.input<typeof FeatureQuery>,
    { offset, count }: { readonly offset: number; readonly count: number },
  ): Promise<z.output<typeof QueryFeatures.result>> {
    return await this.#server.request((await messages()).QueryFeatures, { runFolder, query, offset, count });
  }

  /** @throws when the run's store has no such feature */
  async describe({ runFolder, id }: FeaturePlace): Promise<FeatureDetail> {
    const detail = await this.#server.request((await messages()).DescribeFeature, { runFolder, id });
    if (detail === null) throw new Error(`The run has no feature ${id}.`);
    return detail;
  }

  /** The features before and after one in the order of a query. */
  async neighbours({ runFolder, id }: FeaturePlace, query: FeatureQuery): Promise<Neighbours> {
    return await this.#server.request((await messages()).FeatureNeighbours, { runFolder, query, id });
  }

  /** The file and line that an example was cut from. Throws if it is not on this machine. */
  async locate(runFolder: string, source: string): Promise<z.output<typeof LocateSource.result>> {
    return await this.#server.request((await messages()).LocateSource, { runFolder, source });
  }

  async annotate({ runFolder, id }: FeaturePlace, annotation: Annotation): Promise<FeatureRow> {
    const row = await this.#server.request((await messages()).AnnotateFeature, { runFolder, id, ...annotation });
    this.#changed.fire(runFolder);
    return row;
  }

  tellChanged(runFolder: string): void {
    this.#changed.fire(runFolder);
  }

  dispose(): void {
    this.#listening.dispose();
    this.#progress.dispose();
    this.#changed.dispose();
  }
}

/**
 * Loads the messages on first use: building schemas takes time, and activation must not wait for any that it does not
 * use.
 */
const messages = async () => await import("../../server/protocol/features.ts");
