/** The coordination state under load while nodes are killed, stopped and cut off: what clients were told has an order, and nothing is lost. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runProgram, skipWithout } from '../peers/peer.ts';
import { Rooms, skipWithoutRooms } from './network-rooms.ts';
import { IS_LONG } from './node-process.ts';

const PROGRAM = fileURLToPath(new URL('./programs/kv-rooms.js', import.meta.url));
const SHORT_MS = 6_000;

/** One after the other on one cluster. One way: a leader that is heard and does not hear, or hears and is not heard. */
const HARMS = [
  ['pause', 120_000],
  ['oneWay', 120_000],
  ['threeWay', 120_000],
  ['kill', 600_000],
] as const;

interface Figures {
  readonly harm: string;
  readonly harms: number;
  readonly acknowledgedWrites: number;
}

describe('three voters under load', { skip: skipWithoutRooms() || skipWithout('nft') }, () => {
  it('tell one story in spite of kills, pauses, a leader that is cut off one way, and a network in three parts', async (t) => {
    using rooms = new Rooms(3);
    const harms = HARMS.map(([harm, longMs]) => [harm, IS_LONG ? longMs : SHORT_MS] as const);
    const inside = ['netns', 'exec', rooms.middle, process.execPath, '--enable-source-maps', PROGRAM];
    const words = harms.map(([harm, forMs]) => `${harm}=${forMs}`);
    const lastsMs = harms.reduce((sum, [, forMs]) => sum + forMs + 150_000, 30_000);
    const text = await runProgram('ip', [...inside, rooms.prefix, ...words], lastsMs);
    const figures = JSON.parse(text) as readonly Figures[];
    for (const each of figures) t.diagnostic(JSON.stringify(each));
    assert.deepEqual(
      figures.map(({ harm }) => harm),
      HARMS.map(([harm]) => harm),
    );
    for (const { harm, harms: times, acknowledgedWrites } of figures)
      assert.ok(acknowledgedWrites > 50 && times > 0, `${harm}: ${acknowledgedWrites} writes`);
  });
});
