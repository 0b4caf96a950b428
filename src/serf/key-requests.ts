/**
 * The keyring, managed across the cluster, from the side that asks: one internal query to all members, this one among them, and the
 * sum of their answers. It ends when all present members have answered, or with the query. wire-gossip.md 17.2.
 */
import { decodeBase64 } from '../base/base64.ts';
import { EMPTY_BYTES } from '../base/bytes.ts';
import type { GossipOutcome, GossipRequest, KeysOutcome } from '../model/gossip-request.ts';
import { decodeQueryPayload, encodeQueryPayload } from '../wire/serf/payloads.ts';
import type { Question, QuestionKey, QuestionListener } from './asking.ts';
import { KEY_QUERIES } from './keys.ts';

type KeysRequest = Extract<GossipRequest, { kind: 'keys' }>;

/** Different keys in all answers together. A ring holds 64; members that invent some must not fill memory. */
const KEYS_TOLD_MAX = 1_024;

export interface KeyRequestHost {
  /** Members that are present: so many answers are awaited. */
  readonly members: number;
  ask(question: Question, listener: QuestionListener): QuestionKey | string;
  close(key: QuestionKey): void;
  reply(outcome: GossipOutcome): void;
}

export function requestKeys(request: KeysRequest, host: KeyRequestHost): void {
  const question = questionOf(request);
  if (typeof question === 'string') {
    host.reply({ kind: 'refused', reason: question });
    return;
  }
  const tally = new KeyTally(host.members);
  let open: QuestionKey | undefined;
  const asked = host.ask(question, {
    onAck: () => {},
    onResponse: (from, payload) => {
      tally.add(from, payload);
      if (tally.isComplete && open !== undefined) host.close(open);
    },
    onEnd: () => host.reply(tally.outcome()),
  });
  if (typeof asked === 'string') {
    host.reply({ kind: 'refused', reason: asked });
    return;
  }
  open = asked;
  // Alone, this node has answered itself before `ask` came back.
  if (tally.isComplete) host.close(open);
}

function questionOf({ operation, key, relayFactor = 0 }: KeysRequest): Question | string {
  const isList = operation === 'list';
  if (isList && key !== undefined) return 'keys are listed all together: list takes no key';
  if (!isList && (key === undefined || key === '')) return `${operation} needs a key in base64`;
  const bytes = key === undefined ? EMPTY_BYTES : decodeBase64(key);
  // The bytes themselves are judged by every member, in memberlist's words.
  if (bytes === undefined) return 'the key is not base64';
  const payload = encodeQueryPayload({ kind: 'keyRequest', key: bytes });
  const name = KEY_QUERIES[operation];
  return { name, payload, filters: [], wantsAck: false, isSpread: true, relayFactor, timeoutMs: undefined };
}

/** serf: KeyResponse. */
class KeyTally {
  readonly #members: number;
  #responses = 0;
  #failures = 0;
  readonly #messages: Map<string, string> = new Map();
  readonly #keys: Map<string, number> = new Map();
  readonly #primaryKeys: Map<string, number> = new Map();

  constructor(members: number) {
    this.#members = members;
  }

  get isComplete(): boolean {
    return this.#responses >= this.#members;
  }

  add(from: string, payload: Uint8Array): void {
    this.#responses += 1;
    const answer = decodeQueryPayload(payload);
    if (answer.kind !== 'keyResponse') {
      this.#failures += 1;
      const reason = answer.kind === 'undecodable' ? answer.reason : `it is a ${answer.kind}`;
      this.#messages.set(from, `Failed to decode key query response: ${reason}`);
      return;
    }
    const { result, message, keys = [], primaryKey } = answer;
    if (!result) this.#failures += 1;
    if (!result || message !== '') this.#messages.set(from, message);
    for (const key of new Set(keys)) count(this.#keys, key);
    if (primaryKey !== '') count(this.#primaryKeys, primaryKey);
  }

  outcome(): KeysOutcome {
    return {
      kind: 'keys',
      members: this.#members,
      responses: this.#responses,
      failures: this.#failures,
      messages: this.#messages,
      keys: this.#keys,
      primaryKeys: this.#primaryKeys,
    };
  }
}

function count(counts: Map<string, number>, key: string): void {
  if (counts.has(key) || counts.size < KEYS_TOLD_MAX) counts.set(key, (counts.get(key) ?? 0) + 1);
}
