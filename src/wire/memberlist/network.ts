/** Networks in CIDR notation, and which addresses lie in them. memberlist: CIDRsAllowed. */
import { addressOfHost, hostOfAddress } from './address.ts';

export interface IpNetwork {
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
  /** How many leading bits count. */
  readonly bits: number;
}

/** `10.0.0.0/8`, `fd00::/8`; undefined for anything else, an address without a length among it. */
export function parseNetwork(text: string): IpNetwork | undefined {
  const match = /^([0-9A-Fa-f.:]+)\/(\d{1,3})$/.exec(text);
  const address = match === null ? undefined : addressOfHost(match[1] as string);
  const bits = Number(match?.[2]);
  return address === undefined || bits > 8 * address.length ? undefined : { address, bits };
}

/** Whether a host, which is an IP address, lies in one of the networks. IPv4 in its 16-byte form is IPv4. */
export function isHostIn(host: string, networks: readonly IpNetwork[]): boolean {
  const address = addressOfHost(host);
  return address !== undefined && isAddressIn(address, networks);
}

/** The same of raw bytes as the wire has them. */
export function isAddressIn(bytes: Uint8Array, networks: readonly IpNetwork[]): boolean {
  const host = hostOfAddress(bytes);
  const address = host === undefined ? undefined : addressOfHost(host);
  return address !== undefined && networks.some((network) => contains(network, address));
}

function contains({ address, bits }: IpNetwork, candidate: Uint8Array): boolean {
  if (candidate.length !== address.length) return false;
  return candidate.every((byte, i) => {
    const counted = Math.min(8, Math.max(0, bits - 8 * i));
    return ((byte ^ (address[i] as number)) & (0xff00 >> counted) & 0xff) === 0;
  });
}
