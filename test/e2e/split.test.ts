/** A network that splits 2|3 and heals: the minority stops by itself, the majority serves all, and nobody has to help. */
import { describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runProgram } from '../peers/peer.ts';
import { Rooms, skipWithoutRooms } from './network-rooms.ts';
import { distribution, IS_LONG } from './node-process.ts';

const PROGRAM = fileURLToPath(new URL('./programs/split-rooms.js', import.meta.url));

interface Measured {
  readonly minorityStopped: readonly number[];
  readonly majorityServes: readonly number[];
  readonly healed: readonly number[];
  readonly answers: number;
}

async function splits(test: TestContext, way: 'zeroconf' | 'join', rounds: number, lastsMs: number): Promise<void> {
  using rooms = new Rooms(5);
  const inside = ['netns', 'exec', rooms.middle, process.execPath, '--enable-source-maps', PROGRAM];
  const words = [rooms.prefix, way, String(rounds), String(lastsMs)];
  const text = await runProgram('ip', [...inside, ...words], 90_000 + rounds * (lastsMs + 60_000));
  const measured = JSON.parse(text) as Measured;
  test.diagnostic(`split to minority not Operational: ${distribution(measured.minorityStopped)}`);
  test.diagnostic(`split to majority Operational: ${distribution(measured.majorityServes)}`);
  test.diagnostic(`healed to all five Operational: ${distribution(measured.healed)}; ${measured.answers} answers`);
}

describe('a network of five that splits 2|3', { skip: skipWithoutRooms() }, () => {
  it('is one cluster again after it heals, with the leader on either side, by addresses', async (t) =>
    splits(t, 'join', IS_LONG ? 8 : 2, 2_000));

  it('is one cluster again after it heals, found by multicast', async (t) =>
    splits(t, 'zeroconf', IS_LONG ? 8 : 1, 2_000));

  it('is one cluster again after a split that gossip has given up on', { skip: !IS_LONG }, async (t) =>
    splits(t, 'zeroconf', 2, 60_000),
  );
});
