import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SeededRandom } from '../../src/base/random.ts';
import { serfConfig, validateSerfConfig } from '../../src/serf/config.ts';
import { type ExchangeParts, localState, mergeState } from '../../src/serf/exchange.ts';
import { KeyDesk } from '../../src/serf/keys.ts';
import { Membership } from '../../src/serf/membership.ts';
import type { SerfEvent } from '../../src/serf/messages.ts';
import type { TagReading } from '../../src/serf/tag-desk.ts';
import { QueryDesk } from '../../src/serf/queries.ts';
import { UserEventDesk } from '../../src/serf/user-events.ts';
import type { SwimMember } from '../../src/swim/messages.ts';
import { Keyring } from '../../src/swim/swim.ts';
import type { UserEvent } from '../../src/wire/serf/messages.ts';
import type { PushPullState } from '../../src/wire/serf/push-pull.ts';
import { encodeTags } from '../../src/wire/serf/tags.ts';

const SELF = { name: 'me', advertise: { host: '10.0.0.1', port: 7946 } };

function swimMember(name: string, host = '10.0.0.9'): SwimMember {
  return {
    name,
    addressBytes: Uint8Array.from(host.split('.').map(Number)),
    address: { host, port: 7946 },
    meta: encodeTags(new Map([['n', name]])),
    versions: Uint8Array.of(1, 5, 2, 2, 5, 5),
    incarnation: 1,
    state: 'alive',
    changedAt: 0,
  };
}

interface Side extends ExchangeParts {
  readonly events: SerfEvent[];
  readonly told: readonly string[];
  readonly refuted: () => number;
  readonly merge: (
    state: Partial<PushPullState>,
    options?: { readonly skipOldEvents?: boolean; readonly isStaying?: boolean },
  ) => void;
}

/** Nobody has more tags than gossip carries. */
const TAGS = {
  read: (_node: string, tags: ReadonlyMap<string, string>): TagReading => ({ tags, isComplete: true }),
  onGone: () => undefined,
  forget: () => undefined,
};

function side(membersMax = 100): Side {
  const config = { ...serfConfig({ swim: SELF }), membersMax };
  const events: SerfEvent[] = [];
  const membership = new Membership(config, TAGS, (event) => events.push(event));
  const parts = {
    membership,
    queries: new QueryDesk({
      config,
      membership,
      random: new SeededRandom(1),
      keys: new KeyDesk({
        config,
        keyring: () => new Keyring([]),
        save: () => undefined,
        notify: () => undefined,
      }),
      sendLater: () => undefined,
      answerSelf: () => undefined,
      isRival: () => false,
      deliver: () => undefined,
    }),
    userEvents: new UserEventDesk(config),
  };
  membership.onJoined(swimMember('me', '10.0.0.1'), 0);
  let refuted = 0;
  const told: string[] = [];
  const merge: Side['merge'] = (state, { skipOldEvents = false, isStaying = true } = {}) => {
    const whole: PushPullState = {
      kind: 'pushPull',
      memberTime: 1,
      eventTime: 1,
      queryTime: 1,
      events: undefined,
      leftMembers: [],
      statusTimes: new Map(),
      ...state,
    };
    const tellEvent = (event: UserEvent): void => {
      told.push(`${event.name}@${event.lamportTime}`);
    };
    mergeState(parts, whole, { selfName: 'me', isStaying, skipOldEvents, refute: () => (refuted += 1), tellEvent }, 0);
    membership.check();
  };
  return { ...parts, events, told, refuted: () => refuted, merge };
}

describe('a push/pull of Serf', () => {
  it('14.8: takes over the clocks, a zero being no time at all', () => {
    const { membership, userEvents, queries, merge } = side();
    merge({ memberTime: 10, eventTime: 0, queryTime: 7 });
    assert.deepEqual([membership.clock.time, userEvents.clock.time, queries.clock.time], [10, 1, 7]);
  });

  it('14.8: makes who left a left one, and holds the rest for joined at their time', () => {
    const { membership, merge } = side();
    membership.onJoined(swimMember('a'), 0);
    membership.onJoined(swimMember('b'), 0);
    membership.onGone('a', false, 0);
    merge({
      leftMembers: ['a', 'b'],
      statusTimes: new Map([
        ['a', 5],
        ['b', 5],
      ]),
    });
    assert.deepEqual([membership.get('a')?.status, membership.get('b')?.status], ['left', 'leaving']);
    assert.equal(membership.get('a')?.statusTime, 6);
    merge({ statusTimes: new Map([['b', 7]]) });
    assert.equal(membership.get('b')?.status, 'alive');
  });

  it('14.8: that says we left, or knows a later word about us, makes us say that we are here', () => {
    const { membership, merge, refuted } = side();
    merge({ leftMembers: ['me'], statusTimes: new Map([['me', 4]]) });
    assert.equal(refuted(), 1);
    merge({ statusTimes: new Map([['me', 0]]) });
    assert.equal(refuted(), 1);
    membership.onJoinIntent('me', 8, 0);
    merge({ statusTimes: new Map([['me', 8]]) });
    assert.equal(refuted(), 1);
    merge({ statusTimes: new Map([['me', 9]]) });
    assert.equal(refuted(), 2);
    merge({ leftMembers: ['me'], statusTimes: new Map([['me', 20]]) }, { isStaying: false });
    assert.equal(refuted(), 2);
  });

  it('does not list as left who is on the way back: the peer would hold it for leaving from then on', () => {
    const ours = side();
    const theirs = side();
    ours.membership.onJoined(swimMember('a'), 0);
    ours.membership.onLeaveIntent({ node: 'a', lamportTime: 3, prune: false }, false, 0);
    ours.membership.onGone('a', false, 0);
    assert.deepEqual(localState(ours).leftMembers, ['a']);
    ours.membership.onJoinIntent('a', 5, 0);
    theirs.merge(localState(ours));
    theirs.membership.onJoined(swimMember('a'), 0);
    assert.equal(theirs.membership.get('a')?.status, 'alive');
    ours.membership.onLeaveIntent({ node: 'a', lamportTime: 6, prune: false }, false, 0);
    assert.deepEqual(localState(ours).leftMembers, ['a']);
  });

  it('15.4: brings recent events once, and none from before a join that does not want them', () => {
    const ours = side();
    ours.userEvents.onEvent(3, { name: 'deploy', payload: undefined });
    ours.userEvents.onEvent(4, { name: 'deploy', payload: undefined });
    const state = localState(ours);
    assert.equal(state.events?.length, 2);
    const eager = side();
    eager.merge(state);
    assert.equal(eager.userEvents.slots().length, 2);
    eager.merge(state);
    assert.deepEqual(eager.told, ['deploy@3', 'deploy@4'], 'the application hears of each, once');
    assert.equal(eager.userEvents.onEvent(4, { name: 'deploy', payload: undefined }), false);
    const late = side();
    late.merge(state, { skipOldEvents: true });
    assert.equal(late.userEvents.slots().length, 0);
    assert.deepEqual(late.told, []);
    assert.equal(late.userEvents.onEvent(5, { name: 'deploy', payload: undefined }), true);
  });
});

describe('the table of members', () => {
  it('forgets who has left before who has failed, the longest gone first, and never who is present', () => {
    const { membership, events } = side(4);
    for (const [i, name] of ['a', 'b', 'c'].entries()) {
      membership.onJoined(swimMember(name, `10.0.0.${i + 2}`), i);
      if (name !== 'a') membership.onLeaveIntent({ node: name, lamportTime: 10 + i, prune: false }, false, i);
      membership.onGone(name, false, i);
    }
    for (const [i, name] of ['d', 'e', 'f'].entries()) membership.onJoined(swimMember(name, `10.0.1.${i}`), 10);
    const reaped = events.flatMap((event) => (event.kind === 'memberReaped' ? [event.member.name] : []));
    assert.deepEqual(reaped, ['b', 'c', 'a']);
    membership.check();
    assert.throws(() => membership.onJoined(swimMember('g'), 11), /more records than members present/);
  });

  it('shows meta that is no map as no tags, and knows members by their address while they are there', () => {
    const { membership } = side();
    membership.onJoined({ ...swimMember('a'), meta: Uint8Array.of(0xff, 0x01) }, 0);
    assert.equal(membership.get('a')?.tags.size, 0);
    assert.equal(membership.at({ host: '10.0.0.9', port: 7946 })?.name, 'a');
    membership.onUpdated(swimMember('a', '10.0.0.8'));
    assert.equal(membership.at({ host: '10.0.0.9', port: 7946 }), undefined);
    membership.onGone('a', false, 1);
    assert.equal(membership.at({ host: '10.0.0.8', port: 7946 }), undefined);
  });
});

describe('the settings of Serf', () => {
  it('are complete and sound by default, and every mistake is named at once', () => {
    assert.deepEqual(validateSerfConfig(serfConfig({ swim: SELF })), []);
    const wrong = serfConfig({ reapIntervalMs: 0, recentEventTimes: 1.5, membersMax: 5, swim: { ...SELF, name: '' } });
    assert.deepEqual(
      validateSerfConfig(wrong).map((problem) => problem.split(' ')[0]),
      ['name', 'reapIntervalMs', 'recentEventTimes', 'membersMax'],
    );
  });
});
