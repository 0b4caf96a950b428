/** Two processes of one name: told of with restraint, and when it is our own name and the other lives, put to the vote. */
import type { MonotonicMs } from '../base/machine.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { SwimEvent } from '../swim/messages.ts';
import { ConflictLog } from './conflict-log.ts';
import type { SerfConfig } from './config.ts';
import type { SerfEvent } from './messages.ts';
import { NameVote, type NameVoteHost } from './name-vote.ts';

export interface NameConflictsHost {
  readonly config: SerfConfig;
  readonly ask: NameVoteHost['ask'];
  notify(event: SerfEvent): void;
}

export class NameConflicts {
  readonly #host: NameConflictsHost;
  readonly #told: ConflictLog = new ConflictLog();
  readonly #vote: NameVote;

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

  onConflict({ held, theirs }: SwimEvent & { readonly kind: 'nameConflict' }, now: MonotonicMs): void {
    if (!this.#told.isWorthTelling(held.name, theirs, now)) return;
    this.#host.notify({ kind: 'nameConflict', name: held.name, ours: held.address, theirs });
  }

  onTaken(theirs: Endpoint, now: MonotonicMs): void {
    if (this.#host.config.resolvesNameConflicts) this.#vote.begin(theirs, now);
  }
}
