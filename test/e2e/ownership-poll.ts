/** Asks every node again and again whether it owns a sample of shards, and proves from the answers whether ever two did at once. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ManagementClient } from '../../src/client.ts';
import { until } from '../peers/peer.ts';
import type { NodeProcess } from './node-process.ts';

/** A question to one node about one shard. Somewhere between the two instants the answer was true. */
export interface Answer {
  readonly node: string;
  readonly shard: number;
  /** `performance.now()` of this process. */
  readonly sentAt: number;
  readonly receivedAt: number;
  readonly owned: boolean;
  readonly epoch: number;
}

const BETWEEN_ROUNDS_MS = 25;
/** A node that is paused answers when it goes on; nobody gives up on it before. */
const PATIENCE_MS = 60_000;

export class OwnershipPoll implements AsyncDisposable {
  readonly answers: Answer[] = [];
  readonly #shards: readonly number[];
  readonly #lanes: Promise<void>[] = [];
  #isOver = false;

  constructor(nodes: readonly NodeProcess[], shards: readonly number[]) {
    this.#shards = shards;
    for (const node of nodes) this.add(node);
  }

  /** Begins to ask this node too, until it ends. */
  add(node: NodeProcess): void {
    this.#lanes.push(this.#lane(node));
  }

  /** One question beside the rounds for each shard of the sample; resolves with the answers. */
  async askOnce(node: NodeProcess, by?: ManagementClient): Promise<Answer[]> {
    const client = by ?? (await node.client());
    const asked = this.#shards.map(async (shard): Promise<Answer> => {
      const sentAt = performance.now();
      const { owned, epoch } = await client.owns(shard, { timeoutMs: PATIENCE_MS });
      return { node: node.id, shard, sentAt, receivedAt: performance.now(), owned, epoch: Number(epoch) };
    });
    const answers = await Promise.all(asked);
    this.answers.push(...answers);
    return answers;
  }

  /** Resolves when each shard of the sample was served by one of `by`, asked after this instant; rejects after a long time. */
  async servedBy(by: readonly NodeProcess[]): Promise<void> {
    const since = performance.now();
    const ids = new Set(by.map(({ id }) => id));
    const look = (): true | string => {
      const yes = this.answers.filter(({ owned, sentAt, node }) => owned && sentAt > since && ids.has(node));
      const served = new Set(yes.map(({ shard }) => shard));
      return served.size === this.#shards.length || `only ${[...served].join()}`;
    };
    await until(`${[...ids].join()} serve every shard`, look, PATIENCE_MS);
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#lanes);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #lane(node: NodeProcess): Promise<void> {
    while (!this.#isOver && node.isRunning) {
      // A node that is killed leaves its questions unanswered; the lane ends with it.
      await this.askOnce(node).catch(() => undefined);
      await sleep(BETWEEN_ROUNDS_MS);
    }
  }
}

/**
 * Every pair of answers that proves two owners of one shard. An answer is true at some instant between its sending and its arrival,
 * and a paused node's last answer arrives late; so overlap alone proves nothing. What does: one epoch with two owners, or a yes to a
 * question that was sent after a yes of a newer epoch had arrived.
 */
export function conflicts(answers: readonly Answer[]): string[] {
  const found: string[] = [];
  const yes = answers.filter(({ owned }) => owned);
  for (const shard of new Set(yes.map((answer) => answer.shard))) {
    const ofShard = yes.filter((answer) => answer.shard === shard);
    /** Per epoch its first answer to arrive. */
    const firsts = new Map<number, Answer>();
    for (const answer of [...ofShard].sort((a, b) => a.receivedAt - b.receivedAt)) {
      const first = firsts.get(answer.epoch);
      if (first === undefined) firsts.set(answer.epoch, answer);
      else if (first.node !== answer.node) found.push(`${told(first)}, but ${told(answer)}`);
    }
    for (const answer of ofShard) {
      for (const newer of firsts.values()) {
        if (newer.epoch > answer.epoch && newer.receivedAt < answer.sentAt)
          found.push(`${told(newer)}, then ${told(answer)}`);
      }
    }
  }
  return found;
}

function told({ node, shard, epoch, sentAt, receivedAt }: Answer): string {
  return `${node} owns shard ${shard} in epoch ${epoch} (asked ${sentAt.toFixed(1)}, answered ${receivedAt.toFixed(1)})`;
}
