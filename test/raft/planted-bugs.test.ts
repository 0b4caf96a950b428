/**
 * Proof that the simulation's net has no holes: the built core is copied, one rule is broken in the copy, and the simulation must find
 * it. Nothing in the shipped code knows of this. reliability.md section 9; the P-n are rows of raft.md section 17.
 */
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Raft } from '../../src/raft/raft.ts';
import { runSeed } from './simulation.ts';

interface PlantedBug {
  readonly name: string;
  readonly file: string;
  /** Occurs exactly once in the built file. */
  readonly rule: string;
  readonly broken: string;
  /** What the net says when it has caught the bug. */
  readonly foundBy: RegExp;
  readonly seeds: number;
}

const BUGS: readonly PlantedBug[] = [
  {
    name: 'P-1: a promise leaves before it is durable',
    file: 'raft/outbox.js',
    rule: 'if (queue === undefined)',
    broken: 'if (item.kind === "send")',
    foundBy: /I-14/,
    seeds: 10,
  },
  {
    name: 'P-7: a short append truncates what it does not mention',
    file: 'raft/follower.js',
    rule: 'const commit = Math.min(message.commit, end);',
    broken:
      'const commit = Math.min(message.commit, end); if (end < state.log.lastIndex) truncateFrom(state, end + 1);',
    foundBy: /I-4|I-13|I-14|I-5|I-27|durable here/,
    seeds: 500,
  },
  {
    name: 'P-22: a window full of lost messages is never probed',
    file: 'raft/replication.js',
    rule: 'if (peer.isAwaiting)',
    broken: 'if (false)',
    foundBy: /I-27/,
    seeds: 500,
  },
  {
    name: 'P-25: a leader counts itself before its disk does',
    file: 'raft/leader.js',
    rule: 'member === this.#state.self ? this.#selfMatch',
    broken: 'member === this.#state.self ? this.#state.log.lastIndex',
    foundBy: /I-13/,
    seeds: 50,
  },
  {
    name: 'P-19: an answer confirms whatever round is newest',
    file: 'raft/leader.js',
    rule: 'Math.max(peer.echoedSeq, message.readSeq)',
    broken: 'this.rounds.newest',
    foundBy: /I-18|I-33/,
    seeds: 1_000,
  },
  {
    name: 'P-48: reads are served without a round',
    file: 'raft/leader.js',
    rule: 'this.#reads.begin(this.rounds.newest + 1);',
    broken: 'this.#reads.begin(0);',
    foundBy: /I-18/,
    seeds: 500,
  },
  {
    name: 'P-49: a new leader reads before it has committed in its term',
    file: 'raft/leader.js',
    rule: 'if (this.isReady && this.#reads.wantsRound)',
    broken: 'if (this.#reads.wantsRound)',
    foundBy: /I-18/,
    seeds: 500,
  },
  {
    name: 'P-13: no stickiness to a live leader',
    file: 'raft/state.js',
    rule: "return this.role.kind === 'leader' || this.clock",
    broken: "return this.role.kind === 'leader' && this.clock",
    foundBy: /I-33/,
    seeds: 1_000,
  },
  {
    name: 'O-4: the leader lease goes on after the word to campaign has left',
    file: 'raft/leader.js',
    rule: ' || this.transfer.hasToldTarget',
    broken: '',
    foundBy: /I-33/,
    seeds: 1_000,
  },
  {
    name: '9.2: the outgoing half of a joint configuration is not asked',
    file: 'raft/quorum.js',
    rule: 'if (!isJoint(configuration))',
    broken: 'if (true)',
    foundBy: /I-/,
    seeds: 2_000,
  },
  {
    name: '9.2 rule 4: nobody leaves a joint configuration',
    file: 'raft/leader.js',
    rule: 'if (!isJoint(configuration) || !isCommitted || this.transfer.isUnderWay)',
    broken: 'if (true)',
    foundBy: /I-/,
    seeds: 200,
  },
  {
    name: 'P-72: the lease counts without the margin for clock rates',
    file: 'raft/config.js',
    rule: '(config.electionMs * (1 - config.clockDrift)) / (1 + config.clockDrift)',
    broken: 'config.electionMs * 1.2',
    foundBy: /I-33/,
    seeds: 1_000,
  },
];

const built = fileURLToPath(new URL('../../src/', import.meta.url));
const folders: string[] = [];

async function plant(bug: PlantedBug): Promise<typeof Raft> {
  const folder = mkdtempSync(join(tmpdir(), 'funknode-planted-'));
  folders.push(folder);
  for (const room of ['base', 'model', 'wire', 'raft'])
    cpSync(join(built, room), join(folder, room), { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  const path = join(folder, bug.file);
  const source = readFileSync(path, 'utf8');
  assert.equal(source.split(bug.rule).length, 2, `the rule stands in ${bug.file} exactly once`);
  writeFileSync(path, source.replace(bug.rule, bug.broken));
  const module = (await import(pathToFileURL(join(folder, 'raft/raft.js')).href)) as { Raft: typeof Raft };
  return module.Raft;
}

/** The first failing seed and what it said. */
function hunt(raft: typeof Raft, seeds: number): { readonly seed: number; readonly message: string } | undefined {
  for (let seed = 1; seed <= seeds; seed++) {
    try {
      runSeed(seed, { faultMs: 3_000, raft });
    } catch (error) {
      return { seed, message: (error as Error).message };
    }
  }
  return undefined;
}

describe('planted bugs', () => {
  after(() => {
    for (const folder of folders) rmSync(folder, { recursive: true });
  });

  for (const bug of BUGS) {
    it(`is found: ${bug.name}`, async () => {
      const found = hunt(await plant(bug), bug.seeds);
      assert.ok(found !== undefined, `not found in ${bug.seeds} seeds`);
      assert.match(found.message, bug.foundBy);
    });
  }
});
