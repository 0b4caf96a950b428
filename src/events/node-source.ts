/** A node of this process as a source of the cluster's picture: its view, read again only after something in it has changed. */
import { Listeners } from '../base/listeners.ts';
import type { ClusterPicture, ClusterSource } from '../model/cluster-source.ts';
import type { NodeEvent } from '../model/node-event.ts';
import type { NodeHandle } from '../runtime/node-handle.ts';

export class NodeSource implements ClusterSource {
  readonly #handle: NodeHandle;
  readonly #listeners: Listeners = new Listeners();
  readonly #unsubscribe: () => void;
  #picture: ClusterPicture | undefined;
  #soon: NodeJS.Immediate | undefined;
  #hasStopped = false;

  /** Listens to the node until `close`. */
  constructor(handle: NodeHandle) {
    this.#handle = handle;
    this.#unsubscribe = handle.subscribe((event) => this.#onEvent(event));
  }

  /** Whether the node has said its last word. */
  get hasStopped(): boolean {
    return this.#hasStopped;
  }

  picture(): ClusterPicture {
    // A view may cross from another thread; between two changes there is nothing new in it.
    this.#picture ??= this.#read();
    return this.#picture;
  }

  subscribe(listener: () => void): () => void {
    return this.#listeners.add(listener);
  }

  close(): void {
    this.#unsubscribe();
    clearImmediate(this.#soon);
    this.#listeners.clear();
  }

  #read(): ClusterPicture {
    const { clusterName, clusterId, leader, members, shardMap } = this.#handle.view();
    return { clusterName, clusterId, leader, members, shardMap };
  }

  #onEvent(event: NodeEvent): void {
    if (event.kind === 'stopped') this.#hasStopped = true;
    if (!changesPicture(event)) return;
    this.#picture = undefined;
    // Events of one turn are told once.
    this.#soon ??= setImmediate(() => {
      this.#soon = undefined;
      this.#listeners.call();
    });
  }
}

function changesPicture(event: NodeEvent): boolean {
  switch (event.kind) {
    case 'memberJoined':
    case 'memberLeft':
    case 'memberFailed':
    case 'memberUpdated':
    case 'memberReaped':
    case 'endpointChanged':
    case 'leaderChanged':
    case 'leaderLost':
    case 'shardMapChanged':
    case 'stateChanged':
    case 'eventsForgotten':
    case 'stopped':
      return true;
    default:
      return false;
  }
}
