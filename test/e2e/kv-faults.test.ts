/** The coordination state under load while nodes are killed, stopped and cut off: what clients were told has an order, and nothing is lost. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runProgram, skipWithout } from '../peers/peer.ts';
import { Rooms, skipWithoutRooms } from './network-rooms.ts';
import { IS_LONG } from './node-process.ts';

const PROGRAM = fileURLToPath(new URL('./programs/kv-rooms.js', import.meta.url));
const SHORT_MS = 6_000;

const HARMS = [
  ['kill', 'of nodes killed at random', 600_000],
  ['pause', 'of nodes that stand still', 120_000],
  ['oneWay', 'of a leader that is heard and does not hear, or hears and is not heard', 120_000],
  ['threeWay', 'of a network in three parts', 120_000],
] as const;

describe('three voters under load', { skip: skipWithoutRooms() || skipWithout('nft') }, () => {
  for (const [harm, what, longMs] of HARMS)
    it(`tell one story in spite ${what}`, async (t) => {
      using rooms = new Rooms(3);
      const forMs = IS_LONG ? longMs : SHORT_MS;
      const inside = ['netns', 'exec', rooms.middle, process.execPath, '--enable-source-maps', PROGRAM];
      const text = await runProgram('ip', [...inside, rooms.prefix, harm, String(forMs)], forMs + 180_000);
      const figures = JSON.parse(text) as { readonly acknowledgedWrites: number; readonly undecided: number };
      t.diagnostic(JSON.stringify(figures));
      assert.ok(figures.acknowledgedWrites > 50);
    });
});
