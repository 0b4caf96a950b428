/** Applications that write for the shards they own, in real processes on a network that is harmed: never two owners at one instant, and no stale write is taken. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runProgram, skipWithout } from '../peers/peer.ts';
import { Rooms, skipWithoutRooms } from './network-rooms.ts';
import { IS_LONG } from './node-process.ts';
import type { RegisterFigures } from './writer-register.ts';

const PROGRAM = fileURLToPath(new URL('./programs/writer-rooms.js', import.meta.url));
const HARM_MS = IS_LONG ? 600_000 : 9_000;
const PAUSE_MS_MAX = IS_LONG ? 60_000 : 4_000;

describe('exclusive writers', { skip: skipWithoutRooms() || skipWithout('nft') }, () => {
  it('never own a shard at one instant, in spite of kills, pauses, steps of the wall clock, and partitions that flap or go one way', async (t) => {
    using rooms = new Rooms(4);
    const inside = ['netns', 'exec', rooms.middle, process.execPath, '--enable-source-maps', PROGRAM];
    const args = [rooms.prefix, String(HARM_MS), String(PAUSE_MS_MAX)];
    const figures = JSON.parse(await runProgram('ip', [...inside, ...args], HARM_MS + 240_000)) as RegisterFigures;
    t.diagnostic(JSON.stringify(figures));
    assert.ok(figures.accepted > 500 && figures.ownerships > 10);
  });
});
