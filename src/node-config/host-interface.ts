/** Which of the machine's addresses a node stands on. */
import { readFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { homedir, type NetworkInterfaceInfo, networkInterfaces } from 'node:os';
import { join } from 'node:path';

/** What the choice of defaults reads from the machine. */
export interface Host {
  readonly interfaces: Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>;
  /** Linux's table of IPv4 routes, as `/proc/net/route` shows it; empty where there is none. */
  readonly routes: string;
  /** Where programs keep what outlives a restart: `$XDG_STATE_HOME`, or `~/.local/state`. */
  readonly stateHome: string;
}

export interface HostInterface {
  /** The kernel's name; undefined when the address is on no interface that the kernel lists. */
  readonly name: string | undefined;
  readonly address: string;
  /** How it was found. */
  readonly chosenBy: 'option' | 'default route' | 'first address' | 'loopback';
}

export function thisHost(): Host {
  return {
    interfaces: networkInterfaces(),
    routes: routesOfLinux(),
    // The one place a library reads the environment: the XDG specification makes it a fact of the machine.
    stateHome: process.env['XDG_STATE_HOME'] || join(homedir(), '.local', 'state'),
  };
}

/** The interface that `option` (an address, or an interface's name) asks for; a text that says what is wrong. */
export function chooseInterface(option: string | undefined, host: Host): HostInterface | string {
  const addresses = Object.entries(host.interfaces).flatMap(([name, list]) =>
    (list ?? []).map((entry) => ({ name, entry })),
  );
  if (option !== undefined) return namedInterface(option === 'localhost' ? '127.0.0.1' : option, addresses);
  const usable = addresses.filter(({ entry }) => isIPv4(entry) && !entry.internal);
  const routed = defaultRouteInterface(host.routes);
  const onRoute = usable.find(({ name }) => name === routed);
  if (onRoute !== undefined) return { name: onRoute.name, address: onRoute.entry.address, chosenBy: 'default route' };
  const first = usable[0];
  if (first !== undefined) return { name: first.name, address: first.entry.address, chosenBy: 'first address' };
  const loopback = addresses.find(({ entry }) => entry.internal);
  return { name: loopback?.name, address: '127.0.0.1', chosenBy: 'loopback' };
}

/** The interface whose route leads everywhere, the cheapest of several; undefined without one. */
export function defaultRouteInterface(routes: string): string | undefined {
  const RTF_UP = 1;
  const candidates = routes
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(
      ([, destination, , flags, , , , mask]) =>
        destination === '00000000' && mask === '00000000' && (Number.parseInt(flags ?? '0', 16) & RTF_UP) !== 0,
    )
    .map(([name, , , , , , metric]) => ({ name: name as string, metric: Number(metric) }));
  return candidates.sort((a, b) => a.metric - b.metric)[0]?.name;
}

export function isLoopback(address: string): boolean {
  return address === 'localhost' || /^127\./.test(address) || address === '::1';
}

interface Address {
  readonly name: string;
  readonly entry: NetworkInterfaceInfo;
}

function namedInterface(option: string, addresses: readonly Address[]): HostInterface | string {
  const onName = addresses.filter(({ name }) => name === option);
  const found =
    addresses.find(({ entry }) => entry.address === option) ?? onName.find(({ entry }) => isIPv4(entry)) ?? onName[0];
  if (found !== undefined) return { name: found.name, address: found.entry.address, chosenBy: 'option' };
  // The whole of 127/8 is the machine itself, though the kernel lists one address of it.
  const loopback = addresses.find(({ entry }) => entry.internal && isIPv4(entry));
  if (/^127(?:\.\d{1,3}){3}$/.test(option) && loopback !== undefined) {
    return { name: loopback.name, address: option, chosenBy: 'option' };
  }
  const known = addresses
    .filter(({ entry }) => !entry.address.startsWith('fe80:'))
    .map(({ name, entry }) => `${name} ${entry.address}`);
  return `this machine has ${known.join(', ') || 'no interface'}`;
}

function isIPv4(entry: NetworkInterfaceInfo): boolean {
  return !isIPv6(entry.address);
}

function routesOfLinux(): string {
  try {
    return readFileSync('/proc/net/route', 'latin1');
  } catch {
    // No Linux, or no /proc: the first address is as good a choice as can be made.
    return '';
  }
}
