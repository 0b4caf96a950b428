/** Schedules: a run with every option and every fault written down, and those that are played for ever (test/scenarios/cluster/). */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { present } from '../../src/base/assert.ts';
import { readSchedule, runCommandLine } from './main.ts';
import { OLD_BUGS } from './old-bugs.ts';
import { PLANTED_BUGS, type PlantedBug } from './planted-bugs.ts';
import { type Change, plant, planted, removePlanted } from './planting.ts';
import { overridesOf, parseSchedule, type Schedule, scheduleOf, scheduleText } from './schedule.ts';
import type * as Swarm from './swarm.ts';
import { runSeed } from './swarm.ts';

const FOLDER: string = fileURLToPath(new URL('../../../test/scenarios/cluster/', import.meta.url));
const FILES: readonly string[] = readdirSync(FOLDER).filter((name) => name.endsWith('.json'));

const TRIES_MAX = 40;
const SEEDS_APART = 1_000;

const BUGS: readonly (Pick<PlantedBug, 'name' | 'foundBy'> & Change)[] = [...PLANTED_BUGS, ...OLD_BUGS];

function play({ options }: Schedule, overrides: ReturnType<typeof overridesOf>, run = runSeed): string | undefined {
  return run(overrides.seed ?? options.seed, { overrides }).failure;
}

describe('schedules', () => {
  for (const seed of [4, 8, 15, 20])
    it(`seed ${seed}, written down and read again, is the same run`, () => {
      const drawn = runSeed(seed);
      const schedule = parseSchedule(scheduleText(scheduleOf(drawn, 'a test')));
      const played = runSeed(seed, { overrides: overridesOf(schedule) });
      assert.equal(played.hash, drawn.hash);
      assert.deepEqual(played.faultsDone, drawn.faultsDone);
    });

  it('say what is wrong with them', () => {
    const text = scheduleText(scheduleOf(runSeed(4), 'a test'));
    const changes: readonly (readonly [string | RegExp, string, RegExp])[] = [
      ['{', '', /^not JSON: /],
      ['"about"', '"abuot"', /^abuot: not known here/],
      ['"options"', '"catches": 3, "options"', /^catches: must be a text/],
      [/"seed": 4,/, '', /^options\.seed: is missing/],
      ['"voters"', '"votes"', /^options\.votes: no such option/],
      [/"voters": \d/, '"voters": "3"', /^options\.voters: must be a number, is "3"/],
      [/"voters": \d/, '"voters": 0', /^options\.voters: must be 1 or more/],
      ['"loss"', '"lost"', /^options\.network\.lost: no such option/],
      [/"duplication": [^,]*,/, '', /^options\.network\.duplication: must be a number, is missing/],
      ['"family":"', '"family":"x', /^faults\[0\]\.family: there is no fault "x/],
      [/"machine":\d/, '"machine":-1', /^faults\[0\]\.machine: must be a whole number, is -1/],
      [/"at":[\d.]+/, '"at":1e9', /^faults\[1\]\.at: [\d.]+ is before the fault above it/],
      [/"at":[\d.]+/, '"at":null', /^faults\[0\]\.at: must be milliseconds since harm began/],
    ];
    for (const [found, put, message] of changes)
      assert.throws(() => parseSchedule(text.replace(found, put)), { name: 'Error', message }, String(message));
  });

  it('are written and played from the command line, which names a file that it cannot read', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'funknode-schedule-'));
    const path = join(folder, 'seed-8.json');
    const lines: string[] = [];
    const print = (text: string): number => lines.push(text);
    assert.equal(await runCommandLine(['--seed', '8', '--hashes', '--to', path], print), 0);
    assert.equal(await runCommandLine(['--schedule', path, '--hashes'], print), 0);
    assert.equal(lines[0], lines[2]);
    writeFileSync(path, '[]');
    assert.equal(await runCommandLine(['--schedule', path], print), 2);
    assert.equal(lines.at(-1), `${path}: the schedule: must be an object`);
    rmSync(folder, { recursive: true });
  });
});

describe('schedules of old failures', () => {
  after(removePlanted);

  for (const name of FILES) {
    const schedule = readSchedule(`${FOLDER}${name}`);
    it(`${name}: every promise is kept`, () => {
      assert.equal(play(schedule, overridesOf(schedule)), undefined);
    });
    // A packet more, and all draws of the network are others: the same harm then needs some tries until it meets the bug again.
    if (schedule.catches !== undefined)
      it(`${name} catches "${schedule.catches}"`, async (t) => {
        const bug = present(
          BUGS.find(({ name: bugName }) => bugName === schedule.catches),
          'the bug that it catches',
        );
        const { runSeed: broken } = await planted<typeof Swarm>(plant(bug), 'test/sim/swarm.js');
        const { options } = schedule;
        for (let tries = 1; tries <= TRIES_MAX; tries++) {
          const seed = options.seed + (tries - 1) * SEEDS_APART;
          const failure = play(schedule, { ...overridesOf(schedule), seed }, broken);
          if (failure === undefined || !bug.foundBy.test(failure)) continue;
          t.diagnostic(`after ${tries} tries`);
          return;
        }
        assert.fail(`not in ${TRIES_MAX} tries`);
      });
  }
});
