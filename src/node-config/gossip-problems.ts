/** What the settings of gossip must not be, seen together. */
import type { NodeConfig } from '../node-config.ts';
import { addressOfHost } from '../wire/memberlist/address.ts';
import { LABEL_BYTES_MAX } from '../wire/memberlist/guard.ts';
import { isHostIn } from '../wire/memberlist/network.ts';
import { readGossipKeys } from './gossip-keys.ts';
import type { OptionKey } from './option-table.ts';

/** What keys and labels must not be. The keyring is read again when the node starts: it may have changed meanwhile. */
export function gossipProblems(config: NodeConfig, placeOf: (key: OptionKey) => string): string[] {
  const problems: string[] = [];
  const { encrypt, keyringFile, label } = config;
  if (encrypt !== undefined && keyringFile !== undefined) {
    problems.push(
      `${placeOf('encrypt')} and ${placeOf('keyringFile')}: one or the other; an encryption key is not allowed while using a keyring`,
    );
  } else {
    const keys = readGossipKeys(config);
    if (typeof keys === 'string') problems.push(`${placeOf('keyringFile')}: ${keys}`);
  }
  for (const key of ['gossipVerifyIncoming', 'gossipVerifyOutgoing'] as const) {
    if (!config[key] && encrypt === undefined && keyringFile === undefined)
      problems.push(`${placeOf(key)}: only with a key, by ${placeOf('encrypt')} or ${placeOf('keyringFile')}`);
  }
  if (Buffer.byteLength(label) > LABEL_BYTES_MAX)
    problems.push(`${placeOf('label')} has ${Buffer.byteLength(label)} bytes; at most ${LABEL_BYTES_MAX} are sent`);
  if (config.skipInboundLabelCheck && label === '')
    problems.push(`${placeOf('skipInboundLabelCheck')}: only with a label, by ${placeOf('label')}`);
  const { host } = config.endpoints.serf.advertise;
  if (config.networksAllowed.length > 0 && addressOfHost(host) !== undefined && !isHostIn(host, config.networksAllowed))
    problems.push(`${placeOf('cidrsAllowed')}: ${host}, where this node gossips itself, lies in none of the networks`);
  return problems;
}
