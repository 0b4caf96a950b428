/**
 * Two live processes of one name: all members are asked whom they hold for its bearer, and who is in the minority stops.
 * wire-gossip.md 17.3, serf's resolveNodeConflict.
 */
import { utf8 } from '../base/bytes.ts';
import type { MonotonicMs } from '../base/machine.ts';
import { type Endpoint, formatEndpoint } from '../model/endpoint.ts';
import { hostOfAddress } from '../wire/memberlist/address.ts';
import { decodeQueryPayload } from '../wire/serf/payloads.ts';
import type { Question, QuestionKey, QuestionListener } from './asking.ts';

/** A vote that was won is not held again for so long: the loser may take its time to stop. */
const BETWEEN_VOTES_MS = 15_000;
/** With nobody to ask, whoever came so lately gives way. */
const NEWCOMER_MS = 60_000;

export interface NameVoteHost {
  readonly name: string;
  /** Where members reach us. */
  readonly address: Endpoint;
  ask(question: Question, listener: QuestionListener, now: MonotonicMs): QuestionKey | string;
  /** We are the one who must go. */
  lost(reason: string): void;
}

export class NameVote {
  readonly #host: NameVoteHost;
  #isOpen = false;
  #endedAt: MonotonicMs = Number.NEGATIVE_INFINITY;
  #joinedAt: MonotonicMs = Number.NEGATIVE_INFINITY;

  constructor(host: NameVoteHost) {
    this.#host = host;
  }

  /** We have asked others to let us in. */
  onJoin(now: MonotonicMs): void {
    this.#joinedAt = now;
  }

  /** The process at `theirs` lives and bears our name. */
  begin(theirs: Endpoint, now: MonotonicMs): void {
    if (this.#isOpen || now - this.#endedAt < BETWEEN_VOTES_MS) return;
    const votes = { all: 0, ours: 0 };
    const question: Question = {
      name: '_serf_conflict',
      payload: utf8(this.#host.name),
      filters: [],
      wantsAck: false,
      isSpread: true,
      relayFactor: 0,
      timeoutMs: undefined,
    };
    const asked = this.#host.ask(
      question,
      {
        onAck: () => undefined,
        onResponse: (_from, payload) => this.#count(payload, votes),
        onEnd: () => this.#decide(theirs, votes),
      },
      now,
    );
    this.#isOpen = typeof asked !== 'string';
    if (this.#isOpen) this.#endedAt = now;
  }

  #count(payload: Uint8Array, votes: { all: number; ours: number }): void {
    const vote = decodeQueryPayload(payload);
    if (vote.kind !== 'conflictResponse') return;
    votes.all += 1;
    const { host, port } = this.#host.address;
    // As IP values: a mapped IPv4 address is the plain one.
    if (vote.member?.port === port && hostOfAddress(vote.member.address) === host) votes.ours += 1;
  }

  #decide(theirs: Endpoint, { all, ours }: { readonly all: number; readonly ours: number }): void {
    this.#isOpen = false;
    const isNewcomer = this.#endedAt - this.#joinedAt < NEWCOMER_MS;
    const isLost = all === 0 ? isNewcomer : ours < Math.floor(all / 2) + 1;
    if (!isLost) return;
    const verdict = all === 0 ? 'it was there first' : `${all - ours} of ${all} members hold it for the bearer`;
    this.#host.lost(`another process bears the name ${this.#host.name} at ${formatEndpoint(theirs)}, and ${verdict}`);
  }
}
