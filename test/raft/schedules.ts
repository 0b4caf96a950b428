/**
 * Directed schedules: what rarely comes together by itself, brought about step by step. Each ends quietly when chance has it that a step
 * cannot be had (a timer was drawn too long); the checks of the world look on all the time.
 */
import { present } from '../../src/base/assert.ts';
import { utf8 } from '../../src/base/bytes.ts';
import type { MemberId } from '../../src/model/ids.ts';
import type { RaftMessage } from '../../src/raft/messages.ts';
import { encodeRaftMessage } from '../../src/wire/raft/rpc.ts';
import { CALM_WORLD, World, type Node } from './world.ts';

type Schedule = (seed: number) => void;

interface Three {
  readonly world: World;
  readonly leader: Node;
  readonly others: readonly [Node, Node];
}

/** Three voters, one of them leading, and some time in which all hear each other. */
function three(seed: number, delayMs: number): Three {
  const world = new World({ ...CALM_WORLD, seed, delayMs: [delayMs, delayMs], diskMs: [0.1, 0.2] });
  world.found(['n1', 'n2', 'n3']);
  world.advanceUntil(() => world.leader()?.raft?.isReady === true, 10_000);
  world.advance(2_000);
  const leader = present(world.leader(), 'somebody leads');
  const others = world.running().filter((node) => node !== leader);
  return { world, leader, others: [others[0] as Node, others[1] as Node] };
}

function cutBoth(world: World, a: MemberId, b: MemberId): void {
  world.cut(a, b);
  world.cut(b, a);
}

function setDelay(world: World, delayMs: number): void {
  (world as { options: World['options'] }).options = { ...world.options, delayMs: [delayMs, delayMs] };
}

/**
 * P-71: the one voter that keeps the leader's lease alive is started again, has forgotten the leader, and is asked for its vote
 * by a third who has not heard a leader for long.
 */
function forgottenLeader(seed: number): void {
  const { world, leader, others } = three(seed, 1);
  const [keeper, third] = others;
  const { electionMs } = world.options.config;
  cutBoth(world, leader.id, third.id);
  world.advance(2.5 * electionMs + (seed % 50));
  world.crash(keeper.id);
  cutBoth(world, leader.id, keeper.id);
  world.advance(2);
  world.start(keeper.id);
  world.advance(4 * electionMs);
}

/**
 * P-74: a follower's own pre-vote is refused late, by one that is a candidate meanwhile; that raises its term inside a lease which it
 * has just renewed, and then the candidate's request of that same term comes.
 */
function equalTerm(seed: number): void {
  const { world, leader, others } = three(seed, 90);
  const [voter, candidate] = others;
  const { electionMs } = world.options.config;
  const term = leader.raft?.term ?? 0;
  const held: { readonly to: MemberId; readonly from: MemberId; readonly bytes: Uint8Array; readonly kind: string }[] =
    [];
  const holds = (from: MemberId, to: MemberId, { kind }: RaftMessage): boolean =>
    to === leader.id
      ? kind === 'preVoteReq' || kind === 'voteReq'
      : kind === 'voteReq' || (kind === 'preVoteReq' && from === voter.id);
  world.filter = (from, to, message) => {
    if (!holds(from, to, message)) return true;
    held.push({ from, to, bytes: encodeRaftMessage(message), kind: message.kind });
    return false;
  };
  const release = (kind: string, to: MemberId): void => {
    for (const one of held) if (one.kind === kind && one.to === to) world.transmit(one.from, one.to, one.bytes);
  };
  // What the followers have answered still reaches the leader: it goes on for longer than they are bound to it.
  setDelay(world, 1);
  for (const { id } of others) world.cut(leader.id, id);
  const isAsked = (): boolean => held.some(({ from, kind }) => from === voter.id && kind === 'preVoteReq');
  if (!world.advanceUntil(() => isAsked() && candidate.raft?.role === 'candidate', 2 * electionMs)) return;
  world.heal();
  cutBoth(world, leader.id, candidate.id);
  const isRenewed = (): boolean => voter.raft?.leader === leader.id && leader.raft?.role === 'leader';
  if (!world.advanceUntil(isRenewed, electionMs)) return;
  world.advance(3);
  release('preVoteReq', candidate.id);
  if (!world.advanceUntil(() => (voter.raft?.term ?? 0) > term, 20)) return;
  release('voteReq', voter.id);
  world.advance(electionMs);
}

/**
 * 10.4 step 2: what a follower has written it confirms in vain, and does not hear that it is committed; the leader has compacted its log
 * meanwhile, so it begins anew with a snapshot, for one whose log holds all of that.
 */
function unheardFollower(seed: number): void {
  const { world, leader, others } = three(seed, 1);
  const [follower] = others;
  const propose = (count: number): void => {
    const items = Array.from({ length: count }, (_, i) => utf8(`command ${i}`));
    world.ask(leader.id, (requestId) => ({ kind: 'propose', requestId, items }));
  };
  world.cut(follower.id, leader.id);
  propose(1 + (seed % 5));
  world.advance(1.5);
  world.cut(leader.id, follower.id);
  world.advance(10);
  world.compact(leader.id, 0);
  propose(1);
  world.advance(10);
  world.heal();
  world.advance(world.options.config.electionMs);
}

export const SCHEDULES: Readonly<Record<string, Schedule>> = { forgottenLeader, equalTerm, unheardFollower };

/** Throws what the checks of the world throw. */
export function playSchedule(name: string, seed: number): void {
  present(SCHEDULES[name], `the schedule ${name}`)(seed);
}
