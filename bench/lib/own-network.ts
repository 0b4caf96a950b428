/**
 * A network of the bench's own: nothing leaves the machine, nobody else's packets are counted, and a cluster of another bench
 * or test is never found by mDNS. Only root may make one; without it the bench runs on the machine's loopback.
 */
import { execFileSync, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { print } from './report.ts';

const INSIDE = 'BENCH_OWN_NETWORK';
const SCRIPT = 'ip link set lo up && exec "$0" "$@"';

export const isOwnNetwork: boolean = process.env[INSIDE] === '1';

/** Runs `bench` in a network namespace of its own: this process starts itself again inside, and hands on its exit code. */
export async function inOwnNetwork(bench: () => Promise<void>): Promise<void> {
  if (isOwnNetwork || process.getuid?.() !== 0) {
    if (!isOwnNetwork) print('not root: on the loopback of the machine, where others may be heard');
    await bench();
    return;
  }
  const words = ['--net', 'sh', '-c', SCRIPT, process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const inside = spawn('unshare', words, { stdio: 'inherit', env: { ...process.env, [INSIDE]: '1' } });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => inside.kill(signal));
  process.exitCode = await new Promise<number>((resolve, reject) => {
    inside.once('error', reject);
    inside.once('exit', (code) => resolve(code ?? 1));
  });
}

export interface Traffic {
  readonly bytes: number;
  readonly packets: number;
}

/** All that was sent over the loopback so far, link headers (14 bytes a packet) included. */
export function loopbackTraffic(): Traffic {
  const line = readFileSync('/proc/net/dev', 'latin1')
    .split('\n')
    .find((row) => row.trim().startsWith('lo:'));
  const columns = (line ?? 'lo:').trim().slice('lo:'.length).trim().split(/\s+/).map(Number);
  return { bytes: columns[8] ?? 0, packets: columns[9] ?? 0 };
}

/**
 * Loses `percent` of all packets from and to these ports on our loopback, each packet with that chance once, UDP and TCP alike; 0 for none
 * any more. Only in a network of our own. On input: a drop on output would tell the sender, which real loss does not.
 */
export function loseShare(percent: number, ports: { readonly first: number; readonly last: number }): void {
  if (!isOwnNetwork) throw new Error('packets are lost in a network of our own only');
  execFileSync('nft', ['flush', 'ruleset']);
  if (percent === 0) return;
  const range = `${ports.first}-${ports.last}`;
  const drop = `numgen random mod 1000 < ${Math.round(percent * 10)} drop`;
  const rules = [`th dport ${range} ${drop}`, `th dport != ${range} th sport ${range} ${drop}`];
  const chain = rules.map((rule) => `meta l4proto { tcp, udp } ${rule};`).join(' ');
  execFileSync('nft', [`table inet loss { chain input { type filter hook input priority 0; ${chain} }; }`]);
}
