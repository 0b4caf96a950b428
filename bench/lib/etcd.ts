/** Three `etcd` processes as one cluster, as Debian ships it. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Program, scratch } from './program.ts';

const COUNT = 3;

export class Etcd {
  readonly programs: readonly Program[];

  constructor() {
    const all = Array.from({ length: COUNT }, (_, at) => `e${at + 1}=http://127.0.0.${at + 1}:2380`).join();
    this.programs = Array.from({ length: COUNT }, (_, at) => {
      const host = `127.0.0.${at + 1}`;
      const words = ['etcd', '--name', `e${at + 1}`, '--data-dir', join(scratch, `etcd-${at + 1}`)];
      words.push('--listen-client-urls', `http://${host}:2379`, '--advertise-client-urls', `http://${host}:2379`);
      words.push('--listen-peer-urls', `http://${host}:2380`, '--initial-advertise-peer-urls', `http://${host}:2380`);
      words.push('--initial-cluster', all, '--initial-cluster-state', 'new', '--logger', 'zap', '--log-level', 'warn');
      return new Program(words, () => undefined);
    });
  }

  address(at: number): string {
    return `127.0.0.${at + 1}:2379`;
  }

  /** Its number, once there is one. */
  async leader(): Promise<number> {
    const endpoints = this.programs.map((_, at) => this.address(at)).join();
    for (let tries = 0; tries < 100; tries++) {
      await sleep(200);
      const at = leaderIn(ask(endpoints));
      if (at >= 0) return at;
    }
    throw new Error('etcd has elected no leader');
  }
}

interface EndpointStatus {
  readonly Status: { readonly header: { readonly member_id: number }; readonly leader: number };
}

function ask(endpoints: string): readonly EndpointStatus[] {
  try {
    const words = ['--endpoints', endpoints, 'endpoint', 'status', '--write-out', 'json'];
    const text = execFileSync('etcdctl', words, {
      env: { ...process.env, ETCDCTL_API: '3' },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return JSON.parse(text.toString()) as EndpointStatus[];
  } catch {
    return []; // Not all of them answer yet.
  }
}

function leaderIn(statuses: readonly EndpointStatus[]): number {
  if (statuses.length < COUNT) return -1;
  return statuses.findIndex(({ Status }) => Status.leader !== 0 && Status.header.member_id === Status.leader);
}
