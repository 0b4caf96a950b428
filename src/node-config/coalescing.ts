/** How a Serf agent gathers events before it tells scripts and clients of its RPC, as options. wire-gossip.md 19.2. */
import type { z } from 'zod';
import type { AgentTiming } from '../events/agent-events.ts';
import type { OptionMeta } from './option-table.ts';
import { duration } from './option-values.ts';

/** serf: CoalescePeriod, QuiescentPeriod, UserCoalescePeriod, UserQuiescentPeriod; milliseconds. */
export interface CoalescingValues {
  readonly coalescePeriod: number;
  readonly quiescentPeriod: number;
  readonly userCoalescePeriod: number;
  readonly userQuiescentPeriod: number;
}

type CoalescingOptions = {
  readonly [Key in keyof CoalescingValues]: { readonly schema: z.ZodType<number>; readonly meta: OptionMeta };
};

const HIGHEST_MS = 3_600_000;

/** Defaults as the stock agent has them. */
export function coalescingOptions(): CoalescingOptions {
  return {
    coalescePeriod: period(
      3_000,
      'for how long member events are gathered at most before handlers and RPC streams are told; 0ms: told at once',
    ),
    quiescentPeriod: period(1_000, 'a pause in member events that ends the gathering; 0ms: told at once'),
    userCoalescePeriod: period(
      3_000,
      'for how long user events that may coalesce are gathered at most; 0ms: told at once',
    ),
    userQuiescentPeriod: period(1_000, 'a pause in such user events that ends the gathering; 0ms: told at once'),
  };
}

export function agentTiming(values: CoalescingValues): AgentTiming {
  return {
    members: { windowMs: values.coalescePeriod, quietMs: values.quiescentPeriod },
    users: { windowMs: values.userCoalescePeriod, quietMs: values.userQuiescentPeriod },
  };
}

function period(ms: number, text: string): { readonly schema: z.ZodType<number>; readonly meta: OptionMeta } {
  return {
    schema: duration(0, HIGHEST_MS).default(ms),
    meta: {
      group: 'Watching',
      isAdvanced: true,
      text,
      expected: 'a duration from 0ms to 1h',
      valueName: 'duration',
      fallback: `${ms / 1_000}s`,
    },
  };
}
