/**
 * The keyring, managed across the cluster: what we answer to Serf's `_serf_install-key`, `_serf_use-key`, `_serf_remove-key` and
 * `_serf_list-keys`. wire-gossip.md 17.2. A change takes effect here at once, is written to the keyring file where there is one,
 * and is answered when it is there: an operator who reads success finds the key after a restart too.
 */
import { assert } from '../base/assert.ts';
import { encodeBase64 } from '../base/base64.ts';
import type { KeyOperation } from '../model/gossip-request.ts';
import type { Keyring } from '../swim/swim.ts';
import { encodeSerfMessage, type Query } from '../wire/serf/messages.ts';
import { decodeQueryPayload, encodeQueryPayload, type KeyResponse } from '../wire/serf/payloads.ts';
import type { SerfConfig } from './config.ts';
import type { SerfEvent } from './messages.ts';

/** Serf's names of its internal queries about keys. */
export const KEY_QUERIES: Readonly<Record<KeyOperation, string>> = {
  install: '_serf_install-key',
  use: '_serf_use-key',
  remove: '_serf_remove-key',
  list: '_serf_list-keys',
};
const OPERATIONS: ReadonlyMap<string, KeyOperation> = new Map(
  (Object.keys(KEY_QUERIES) as KeyOperation[]).map((operation) => [KEY_QUERIES[operation], operation]),
);

/** Changes that wait for the disk. Each has its asker; more at a time are somebody's mistake. */
const SAVES_MAX = 64;
/** serf: minEncodedKeyLength. A list is cut to so many keys before it is measured. */
const ENCODED_KEY_BYTES_MIN = 25;

type Change = Exclude<KeyOperation, 'list'>;

export interface KeyDeskOptions {
  readonly config: SerfConfig;
  readonly keyring: () => Keyring;
  /** Asks for the keys (base64, primary first) to be kept; {@link KeyDesk.onSaved} hears of it by the same number. */
  readonly save: (save: number, keys: readonly string[]) => void;
  readonly notify: (event: SerfEvent) => void;
}

/** Says to the asker of one query what we found; may be called in a later turn. */
export type AnswerKeys = (payload: Uint8Array) => void;

export class KeyDesk {
  readonly #options: KeyDeskOptions;
  readonly #pending: Map<number, AnswerKeys> = new Map();
  #lastSave = 0;

  constructor(options: KeyDeskOptions) {
    this.#options = options;
  }

  /** Answers false when the query is about something else. */
  onQuery(query: Query, answer: AnswerKeys): boolean {
    const operation = OPERATIONS.get(query.name);
    if (operation === undefined) return false;
    if (operation === 'list') answer(this.#list(query));
    else this.#change(operation, query.payload, answer);
    return true;
  }

  /** The keyring file was written, or was not. What the ring holds counts either way, as with Serf. */
  onSaved(save: number, error: string | undefined): void {
    const answer = this.#pending.get(save);
    if (answer === undefined) return;
    this.#pending.delete(save);
    if (error !== undefined) this.#options.notify({ kind: 'keyringNotSaved', reason: error });
    answer(response(error === undefined, error === undefined ? '' : `Failed to write keyring file: ${error}`));
  }

  check(): void {
    assert(this.#pending.size <= SAVES_MAX, 'changes that wait for the disk are bounded');
  }

  #change(operation: Change, payload: Uint8Array | undefined, answer: AnswerKeys): void {
    const { config, notify, save } = this.#options;
    const problem = this.#apply(operation, payload);
    if (problem !== undefined) {
      answer(response(false, problem));
      return;
    }
    const keyring = this.#options.keyring();
    notify({ kind: 'keysChanged', operation, keys: keyring.keys.length });
    if (!config.hasKeyringFile) {
      answer(response(true, ''));
      return;
    }
    this.#lastSave += 1;
    this.#pending.set(this.#lastSave, answer);
    save(this.#lastSave, keyring.keys.map(encodeBase64));
  }

  /** Why nothing was changed, in memberlist's words; undefined when it was. */
  #apply(operation: Change, payload: Uint8Array | undefined): string | undefined {
    const keyring = this.#options.keyring();
    if (keyring.isEmpty) return 'No keyring to modify (encryption not enabled)';
    if (this.#pending.size >= SAVES_MAX) return 'too many keyring changes are under way';
    const request = payload === undefined ? undefined : decodeQueryPayload(payload);
    // Serf leaves the asker without a word here.
    if (request?.kind !== 'keyRequest') return 'the key request cannot be read';
    switch (operation) {
      case 'install':
        return keyring.install(request.key);
      case 'use':
        return keyring.use(request.key);
      case 'remove':
        return keyring.remove(request.key);
    }
  }

  /** All keys if they fit into one answer, else as many as do, and a message that says so. */
  #list(query: Query): Uint8Array {
    const keyring = this.#options.keyring();
    if (keyring.isEmpty) return response(false, 'Keyring is empty (encryption not enabled)');
    const keys = keyring.keys.map(encodeBase64);
    const primaryKey = keys[0] ?? '';
    const whole = encodeQueryPayload({ kind: 'keyResponse', result: true, message: '', keys, primaryKey });
    if (this.#fits(query, whole)) return whole;
    const { queryResponseBytesMax } = this.#options.config;
    const most = Math.min(keys.length, Math.floor(queryResponseBytesMax / ENCODED_KEY_BYTES_MIN));
    for (let count = most; count > 0; count--) {
      const message = `truncated key list response, showing first ${count} of ${keys.length} keys`;
      const part = { kind: 'keyResponse', result: true, message, keys: keys.slice(0, count), primaryKey } as const;
      const payload = encodeQueryPayload(part);
      if (this.#fits(query, payload)) return payload;
    }
    return response(false, 'Failed to truncate response so that it fits into message');
  }

  #fits({ lamportTime, id }: Query, payload: Uint8Array): boolean {
    const { swim, queryResponseBytesMax } = this.#options.config;
    const answer = { kind: 'queryResponse', lamportTime, id, from: swim.name, flags: 0, payload } as const;
    return encodeSerfMessage(answer).length <= queryResponseBytesMax;
  }
}

function response(result: boolean, message: string): Uint8Array {
  const answer: KeyResponse = { kind: 'keyResponse', result, message, keys: undefined, primaryKey: '' };
  return encodeQueryPayload(answer);
}
