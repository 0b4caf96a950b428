/** What the sessions of a server share: the node, the key, the log, and the counters. */
import type { AgentEventSource } from '../model/agent-event.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { NodeHandle } from '../runtime/node-handle.ts';
import type { AgentFacts } from './agent-stats.ts';
import type { LogLines } from './log-lines.ts';

export interface ResolvedAddresses {
  readonly endpoints: readonly Endpoint[];
  /** One sentence for each name that has no address. */
  readonly failures: readonly string[];
}

export interface RpcHost {
  readonly handle: NodeHandle;
  /** Undefined: whoever can connect may do everything. */
  readonly authKey: string | undefined;
  /** What streams carry. */
  readonly events: AgentEventSource;
  readonly facts: AgentFacts;
  readonly log: LogLines;
  readonly counts: RpcCounts;
  /** Names and addresses, with or without a port. Never rejects. */
  readonly resolve: (addresses: readonly string[]) => Promise<ResolvedAddresses>;
  /** Begins the orderly stop of the whole node; the server is closed at its end. */
  readonly leave: () => void;
  /** A number that no other query of this node bears. */
  readonly nextQuery: () => number;
}

/** Why a connection was ended by us. */
export type CutReason = 'malformed' | 'timeout' | 'clogged' | 'unknownCommand' | 'tooMany';

export interface RpcStats {
  readonly open: number;
  readonly accepted: number;
  readonly requests: number;
  /** Records of streams that slow clients missed. */
  readonly recordsLost: number;
  readonly wrongKeys: number;
  readonly cut: Readonly<Record<CutReason, number>>;
}

export class RpcCounts {
  readonly #cut: Record<CutReason, number> = { malformed: 0, timeout: 0, clogged: 0, unknownCommand: 0, tooMany: 0 };
  #accepted = 0;
  #requests = 0;
  #recordsLost = 0;
  #wrongKeys = 0;

  onAccepted(): void {
    this.#accepted += 1;
  }

  onRequest(): void {
    this.#requests += 1;
  }

  onLost(): void {
    this.#recordsLost += 1;
  }

  onWrongKey(): void {
    this.#wrongKeys += 1;
  }

  onCut(reason: CutReason): void {
    this.#cut[reason] += 1;
  }

  reading(open: number): RpcStats {
    return {
      open,
      accepted: this.#accepted,
      requests: this.#requests,
      recordsLost: this.#recordsLost,
      wrongKeys: this.#wrongKeys,
      cut: { ...this.#cut },
    };
  }
}
