/**
 * SO-1 as applications see it: their threads ask shared memory while nodes in other threads move shards. Nobody says yes after somebody else has said yes
 * under a later fencing token, however busy, paused or dead an application is.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { NodeOptions } from '../../src/index.ts';
import { freshClusterName, IS_LONG, Scratch, settled } from './node-process.ts';
import type { Told } from './programs/asking-application.ts';

const PROGRAM: string = fileURLToPath(new URL('./programs/asking-application.js', import.meta.url));
const ASKED_SHARDS: readonly number[] = [0, 1_111, 5_000, 7_777, 9_999];
const ROUNDS = IS_LONG ? 40 : 1;

class Application implements AsyncDisposable {
  readonly id: string;
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #ended: Promise<void>;

  constructor(id: string, clusterName: string) {
    this.id = id;
    const settings: NodeOptions = {
      clusterName,
      nodeId: id,
      interface: '127.0.0.1',
      zeroconf: true,
      inMemory: true,
      thread: 'own',
    };
    const args = [PROGRAM, JSON.stringify(settings), JSON.stringify(ASKED_SHARDS)];
    this.#child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    assert.ok(this.#child.stdout !== null);
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
    this.#ended = new Promise((resolve) => {
      this.#child.once('exit', () => resolve());
    });
  }

  async started(): Promise<void> {
    assert.equal((await this.#lines.next()).value, 'started');
  }

  block(ms: number): void {
    this.#child.stdin?.write(`block ${ms}\n`);
  }

  /** Neither its node nor itself gets any time. */
  async pause(ms: number): Promise<void> {
    this.#child.kill('SIGSTOP');
    await sleep(ms);
    this.#child.kill('SIGCONT');
  }

  /** Leaves in order, and tells what it was told. */
  async end(): Promise<Told[]> {
    this.#child.stdin?.write('end\n');
    const { value, done } = await this.#lines.next();
    assert.ok(done !== true, `${this.id} ended without a word`);
    return JSON.parse(value) as Told[];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }
}

interface Said extends Told {
  readonly node: string;
}

/** Every pair of answers that cannot both be right. */
function contradictions(said: readonly Said[]): string[] {
  return said.flatMap((one) =>
    said
      .filter((other) => other.shard === one.shard && other.node !== one.node)
      .flatMap((other) => {
        const pair = `shard ${one.shard}: ${one.node} under ${one.epoch}, ${other.node} under ${other.epoch}`;
        if (one.epoch === other.epoch) return [`${pair}: one token for two`];
        const isLate = one.epoch < other.epoch && one.lastBefore > other.firstAfter;
        return isLate ? [`${pair}, ${(one.lastBefore - other.firstAfter).toFixed(3)} ms later`] : [];
      }),
  );
}

describe('applications that ask while shards move', { timeout: IS_LONG ? 3_600_000 : 400_000 }, () => {
  it('have no two owners of a shard, busy, paused or leaving', async (t) => {
    await using scratch = new Scratch();
    const cluster = freshClusterName();
    const daemon = scratch.start({ id: 'n1', cluster });
    await settled([daemon]);
    await using a = new Application('a', cluster);
    await using b = new Application('b', cluster);
    await Promise.all([a.started(), b.started()]);
    const said: Said[] = [];
    const hear = (node: string, told: readonly Told[]): void => {
      said.push(...told.map((one) => ({ ...one, node })));
    };
    for (let round = 0; round < ROUNDS; round++) {
      // Shards move to whoever comes and from whoever goes; a cannot let go of them, b is stopped in the middle of it.
      await using guest = new Application(`g${round}`, cluster);
      a.block(3_000);
      await guest.started();
      await sleep(700 + 150 * (round % 3));
      await b.pause(1_500);
      await sleep(1_500);
      b.block(1_000);
      hear(guest.id, await guest.end());
      await sleep(1_000);
    }
    hear('a', await a.end());
    hear('b', await b.end());
    assert.deepEqual(contradictions(said), []);
    const owners = new Set(said.map(({ node }) => node));
    const tokens = new Set(said.map(({ shard, epoch }) => `${shard} ${epoch}`));
    const answers = said.reduce((sum, { count }) => sum + count, 0);
    t.diagnostic(
      `${answers} times yes, under ${tokens.size} tokens of ${ASKED_SHARDS.length} shards, by ${[...owners].sort().join(' ')}`,
    );
    // Otherwise nothing was put to the test.
    assert.ok(owners.size >= 2 && tokens.size >= ASKED_SHARDS.length, `${owners.size} owners, ${tokens.size} tokens`);
  });

  it('would be caught: an answer that comes too late, and one token for two', () => {
    const base = { shard: 1, count: 1 };
    const late: Said[] = [
      { ...base, node: 'a', epoch: 5, firstAfter: 100, lastBefore: 201 },
      { ...base, node: 'b', epoch: 9, firstAfter: 200, lastBefore: 300 },
    ];
    assert.equal(contradictions(late).length, 1);
    assert.equal(contradictions(late.map((one) => ({ ...one, epoch: 5 }))).length, 2);
    assert.deepEqual(contradictions([{ ...(late[0] as Said), lastBefore: 199 }, late[1] as Said]), []);
  });
});
