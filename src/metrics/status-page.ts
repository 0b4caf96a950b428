/** Who is there, as one node sees it: a plain page for people, and the same for programs. What members say of themselves is escaped. */
import { formatEndpoint } from '../model/endpoint.ts';
import type { MemberView, NodeView } from '../model/node-view.ts';
import { TAG_ROLE, TAG_SERVICE_NAME } from '../model/tags.ts';

/** A page is for eyes; whoever wants more reads the JSON. */
const ROWS_MAX = 2_000;

export interface StatusReading {
  readonly node: string;
  readonly cluster: string;
  readonly service: string;
  readonly state: string;
  readonly role: string;
  readonly leader: string | null;
  /** Members by their state. */
  readonly counts: Readonly<Record<string, number>>;
  readonly members: readonly MemberReading[];
}

export interface MemberReading {
  readonly name: string;
  readonly status: string;
  readonly address: string;
  /** `meta.serviceName`; empty for a plain Serf agent. */
  readonly service: string;
  /** `voter`, `non-voter`, `non-member`, or empty. */
  readonly kind: string;
  /** How long this node has known it. */
  readonly knownSeconds: number;
  /** By name: what it publishes. */
  readonly endpoints: Readonly<Record<string, string>>;
}

/** `now`: of the clock of the view. Those who are there come first, then the rest, each by name. */
export function statusReading(view: NodeView, now: number): StatusReading {
  const own = view.members.find((member) => member.name === view.id);
  const members = [...view.members].sort((a, b) => Number(isGone(a)) - Number(isGone(b)) || (a.name < b.name ? -1 : 1));
  const counts: Record<string, number> = {};
  for (const { status } of members) counts[status] = (counts[status] ?? 0) + 1;
  return {
    node: view.id,
    cluster: view.clusterName,
    service: own?.tags.get(TAG_SERVICE_NAME) ?? '',
    state: view.state,
    role: view.role,
    leader: view.leader ?? null,
    counts,
    members: members.map((member) => memberReading(member, now)),
  };
}

function isGone({ status }: MemberView): boolean {
  return status === 'left' || status === 'failed';
}

function memberReading(member: MemberView, now: number): MemberReading {
  const { name, status, address, tags } = member;
  return {
    name,
    status,
    address: formatEndpoint(address),
    service: tags.get(TAG_SERVICE_NAME) ?? '',
    kind: tags.get(TAG_ROLE) ?? '',
    knownSeconds: Math.max(0, Math.round((now - member.knownSince) / 1_000)),
    endpoints: Object.fromEntries([...tags].filter(([tag]) => tag.startsWith('ep.')).sort()),
  };
}

/** `links`: other pages of this endpoint. No script, no style, nothing from elsewhere. */
export function statusHtml(reading: StatusReading, links: readonly string[]): string {
  const { node, cluster, service, state, role, counts, members } = reading;
  const shown = members.slice(0, ROWS_MAX).map(memberRow);
  const more =
    members.length > ROWS_MAX ? `<p>${members.length - ROWS_MAX} more are in <a href="/status.json">JSON</a>` : '';
  const summary = Object.entries(counts).map(([status, count]) => `${count} ${status}`);
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>${html(node)}</title>
<h1>${html(node)}</h1>
<p>cluster ${html(cluster)}${service === cluster ? '' : `, service ${html(service)}`}, ${html(state)}, ${html(role)}
<p>members: ${html(summary.join(', '))}
<table border="1" cellpadding="4">
<tr>${COLUMNS.map((column) => `<th align="left">${column}`).join('')}
${shown.join('\n')}
</table>
${more}
<ul>${links.map((path) => `<li><a href="${html(path)}">${html(path)}</a>`).join('')}</ul>
`;
}

const COLUMNS: readonly string[] = ['Node', 'State', 'Address', 'Service', 'Kind', 'Known for', 'Endpoints'];

function memberRow(member: MemberReading): string {
  const endpoints = Object.entries(member.endpoints).map(([name, at]) => `${html(name)} ${html(at)}`);
  const cells = [
    member.name,
    member.status,
    member.address,
    member.service,
    member.kind,
    duration(member.knownSeconds),
  ];
  return `<tr>${cells.map((cell) => `<td>${html(cell)}`).join('')}<td>${endpoints.join('<br>')}`;
}

function duration(seconds: number): string {
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7_200 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds / 3_600)} h`;
}

function html(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
