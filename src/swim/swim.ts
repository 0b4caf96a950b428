/**
 * Who is alive: SWIM with Lifeguard, as memberlist speaks it.
 */
import type { Machine, MonotonicMs } from '../base/machine.ts';
import type { Random } from '../base/random.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { SwimStats } from '../model/node-stats.ts';
import type { SwimConfig } from './config.ts';
import type { SwimDelegate, SwimEffect, SwimInput, SwimMember } from './messages.ts';

export { BroadcastQueue, retransmitLimit } from './broadcast-queue.ts';
export type { BroadcastOptions, BroadcastQueueLimits } from './broadcast-queue.ts';

export interface SwimOptions {
  readonly config: SwimConfig;
  readonly random: Random;
  readonly delegate: SwimDelegate;
}

export declare class Swim implements Machine<SwimInput, SwimEffect> {
  constructor(options: SwimOptions);
  get stats(): Readonly<SwimStats>;
  /** Rows of the table, of every state, ourselves included: the n of the formulas. */
  get memberCount(): number;
  /** Alive or suspect members, ourselves included. */
  get presentCount(): number;
  get isLeaving(): boolean;
  /** Our own row; present from `start` on. */
  get self(): SwimMember;
  member(name: string): SwimMember | undefined;
  members(): SwimMember[];
  /** Sends a user message directly, unreliably and at once. `to` is a member's or any other address. */
  sendUserMessage(to: Endpoint, bytes: Uint8Array, effects: SwimEffect[]): void;
  step(input: SwimInput, now: MonotonicMs, effects: SwimEffect[]): void;
  tick(now: MonotonicMs, effects: SwimEffect[]): void;
  nextDeadline(): MonotonicMs;
  check(): void;
}
