/** Two processes of one name: told of with restraint, and when it is our own name and the other lives, put to the vote. */
import type { MonotonicMs } from '../base/machine.ts';
import { type Endpoint, formatEndpoint } from '../model/endpoint.ts';
import type { SwimEvent } from '../swim/messages.ts';
import { ConflictLog } from './conflict-log.ts';
import type { SerfConfig } from './config.ts';
import type { SerfEvent } from './messages.ts';
import { NameVote, type NameVoteHost } from './name-vote.ts';

const FOREIGN_MAX = 64;

export interface NameConflictsHost {
  readonly config: SerfConfig;
  readonly ask: NameVoteHost['ask'];
  /** Whether whoever shows these tags is of another cluster. */
  readonly isForeign: (meta: Uint8Array, name: string) => boolean;
  notify(event: SerfEvent): void;
}

export class NameConflicts {
  readonly #host: NameConflictsHost;
  readonly #told: ConflictLog = new ConflictLog();
  readonly #vote: NameVote;
  /** Addresses of processes of other clusters that bear our name, the newest: their names are their own affair. */
  readonly #foreign: Set<string> = new Set();

  constructor(host: NameConflictsHost) {
    this.#host = host;
    const { name, advertise: address } = host.config.swim;
    const lost = (reason: string): void => host.notify({ kind: 'nameLost', reason });
    this.#vote = new NameVote({ name, address, ask: host.ask, lost });
  }

  /** Whether the process at `address` claims the name of a member. */
  isRival(name: string, address: Endpoint): boolean {
    return this.#told.has(name, address);
  }

  onJoin(now: MonotonicMs): void {
    this.#vote.onJoin(now);
  }

  onConflict({ held, theirs, meta }: SwimEvent & { readonly kind: 'nameConflict' }, now: MonotonicMs): void {
    const address = formatEndpoint(theirs);
    this.#foreign.delete(address);
    if (this.#host.isForeign(meta, held.name)) {
      this.#foreign.add(address);
      for (const oldest of this.#foreign) {
        if (this.#foreign.size <= FOREIGN_MAX) break;
        this.#foreign.delete(oldest);
      }
      return;
    }
    if (!this.#told.isWorthTelling(held.name, theirs, now)) return;
    this.#host.notify({ kind: 'nameConflict', name: held.name, ours: held.address, theirs });
  }

  onTaken(theirs: Endpoint, now: MonotonicMs): void {
    if (this.#foreign.has(formatEndpoint(theirs))) return;
    if (this.#host.config.resolvesNameConflicts) this.#vote.begin(theirs, now);
  }
}
