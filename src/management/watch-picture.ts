/**
 * What one watcher has been shown. It compares the newest view with that, so however many changes lie between, a watcher
 * that reads slowly costs one picture and a bounded list of notices.
 */
import type { Status } from '../gen/funk/v1/Status.ts';
import type { WatchResponse } from '../gen/funk/v1/WatchResponse.ts';
import type { NodeEvent } from '../model/node-event.ts';
import type { NodeView } from '../model/node-view.ts';
import type { ShardMap } from '../model/shard-map.ts';
import { shardMapDelta } from './map-delta.ts';
import { memberMessages, shardMapMessage, statusMessage } from './node-reading.ts';
import { settingsMessage } from './shard-reading.ts';

/** Notices that wait for a slow watcher; beyond it the oldest go, since the newest explain the present. */
export const NOTICES_MAX = 64;
/** When more members than these changed at once, the whole list is one message. */
const MEMBER_CHANGES_MAX = 32;

/** What a watcher has, and how it wants to be told of maps. */
export interface WatchWish {
  /** Maps may come as what is different from the one before. */
  readonly deltas: boolean;
  /** Whole maps come in their compact form. */
  readonly packed: boolean;
  /** The map that the watcher has already. */
  readonly since: ShardMap | undefined;
}

export class WatchPicture {
  readonly #wish: WatchWish;
  #isFirst = true;
  #status = '';
  /** Per member name: what was shown of it, without its ages. */
  readonly #members = new Map<string, string>();
  #map: ShardMap | undefined;
  #settingsVersion = 0;
  #notices: WatchResponse[] = [];

  constructor(wish: WatchWish) {
    this.#wish = wish;
    this.#map = wish.since;
  }

  /** Keeps what a view would not show. */
  note(event: NodeEvent): void {
    const text = noticeText(event);
    if (text === undefined) return;
    if (this.#notices.length === NOTICES_MAX) this.#notices.shift();
    this.#notices.push({ notice: { kind: event.kind, text } });
  }

  /** The messages that bring the watcher from what it was shown to `view`; the first time, the whole picture. */
  bringUpTo(view: NodeView, now: number): readonly WatchResponse[] {
    const messages = [
      ...this.#statusChange(view, now),
      ...this.#memberChanges(view, now),
      ...this.#mapChange(view),
      ...this.#settingsChange(view),
    ];
    if (this.#isFirst) messages.push({ synced: {} });
    this.#isFirst = false;
    messages.push(...this.#notices);
    this.#notices = [];
    return messages;
  }

  #statusChange(view: NodeView, now: number): WatchResponse[] {
    const status = statusMessage(view, now);
    const shown = JSON.stringify(withoutProgress(status));
    if (shown === this.#status) return [];
    this.#status = shown;
    return [{ status }];
  }

  #memberChanges(view: NodeView, now: number): WatchResponse[] {
    const all = memberMessages(view, now);
    const names = new Set(all.map((member) => member.name ?? ''));
    const gone = [...this.#members.keys()].filter((name) => !names.has(name));
    const changed = all.filter((member) => {
      const shown = JSON.stringify({ ...member, ageMs: 0, heardMsAgo: 0 });
      const isNew = this.#members.get(member.name ?? '') !== shown;
      this.#members.set(member.name ?? '', shown);
      return isNew;
    });
    for (const name of gone) this.#members.delete(name);
    if (this.#isFirst || gone.length + changed.length > MEMBER_CHANGES_MAX) return [{ members: { members: [...all] } }];
    return [...gone.map((name) => ({ memberRemoved: name })), ...changed.map((member) => ({ member }))];
  }

  #mapChange(view: NodeView): WatchResponse[] {
    const { shardMap } = view;
    const before = this.#map;
    this.#map = shardMap;
    if (shardMap === undefined || isSameMap(shardMap, before)) return [];
    const isTold = this.#wish.deltas && before !== undefined;
    const delta = isTold ? shardMapDelta(shardMap, before) : undefined;
    if (delta !== undefined) return [{ shardMapDelta: delta }];
    return [{ shardMap: shardMapMessage(shardMap, { parts: this.#wish.packed ? 'packed' : 'all' }) }];
  }

  #settingsChange({ shardSettings }: NodeView): WatchResponse[] {
    if (shardSettings === undefined || shardSettings.version === this.#settingsVersion) return [];
    this.#settingsVersion = shardSettings.version;
    return [{ shardSettings: settingsMessage(shardSettings) }];
  }
}

function isSameMap(map: ShardMap, shown: ShardMap | undefined): boolean {
  return map.version === shown?.version && map.committedAt === shown.committedAt;
}

/** Without what moves all the time and is not worth a message by itself. */
function withoutProgress(status: Status): Status {
  const waiting = status.waiting ? { ...status.waiting, forMs: 0 } : null;
  return { ...status, stateForMs: 0, commitIndex: 0, appliedIndex: 0, waiting };
}

/** What an event tells that no view will show afterwards; undefined for all that it will. */
function noticeText(event: NodeEvent): string | undefined {
  switch (event.kind) {
    case 'warning':
      return event.text;
    case 'clusterConflict':
      return `${event.node} is of another cluster of this name: ${event.theirs}, ours is ${event.ours}`;
    case 'clusterDissolved':
      return `cluster ${event.ours} dissolved into ${event.into}`;
    case 'memberReaped':
      return `${event.member.name} was forgotten after being ${event.member.status} for long`;
    case 'stopped':
      return event.reason;
    default:
      return undefined;
  }
}
