/** What a founder writes: the configuration with itself alone, and the founding (raft.md 9.5). */
import type { Random } from '../base/random.ts';
import { randomBelow } from '../base/random.ts';
import type { Boot, ClusterId, LogIndex, MemberId, Term } from '../model/ids.ts';
import type { RecoveredLog } from '../model/log.ts';
import { EMPTY_CONFIGURATION, EMPTY_RECOVERED_LOG } from '../model/log.ts';
import { encodeCommand } from '../wire/command/command.ts';
import { encodeConfiguration } from '../wire/raft/entry.ts';
import type { Founding } from './agreed-state.ts';

const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

export function foundingLog(self: MemberId, founding: Founding): RecoveredLog {
  const configuration = { ...EMPTY_CONFIGURATION, voters: [self] };
  const term = 1 as Term;
  return {
    ...EMPTY_RECOVERED_LOG,
    hardState: { term, vote: null },
    entries: [
      { index: 1 as LogIndex, term, kind: 'config', data: encodeConfiguration(configuration) },
      { index: 2 as LogIndex, term, kind: 'command', data: encodeCommand({ kind: 'found', ...founding }) },
    ],
  };
}

/** 16 random bytes in base64url without padding: 22 characters, the last of which carries two bits. */
export function mintClusterId(random: Random): ClusterId {
  let text = '';
  for (let i = 0; i < 21; i++) text += BASE64URL[randomBelow(random, 64)];
  return (text + BASE64URL[randomBelow(random, 4) * 16]) as ClusterId;
}

/** A random 53-bit number above 0. */
export function mintBoot(random: Random): Boot {
  return (1 + randomBelow(random, Number.MAX_SAFE_INTEGER - 1)) as Boot;
}

/** Nothing was ever written to it: no entry, no snapshot, no term. */
export function isUnwritten({ entries, snapshot, hardState }: RecoveredLog): boolean {
  return entries.length === 0 && snapshot === undefined && hardState.term === 0;
}
