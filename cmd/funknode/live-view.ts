/** Who is there, on a terminal, drawn again whenever that changes; on anything else one table after the other. */
import { formatEndpoint } from '../../src/model/endpoint.ts';
import type { NodeEvent } from '../../src/model/node-event.ts';
import type { MemberView, NodeView } from '../../src/model/node-view.ts';
import { TAG_ROLE, TAG_SERVICE_NAME } from '../../src/model/tags.ts';

/** What it reads; any node handle is one. */
export interface Viewed {
  view(): NodeView;
  now(): number;
  subscribe(listener: (event: NodeEvent) => void): () => void;
}

export interface Screen {
  readonly isTTY?: boolean;
  readonly rows?: number;
  write(text: string): unknown;
}

/** Changes come in bursts, and eyes are slow. */
const DRAW_EVERY_MS = 250;
/** Ages go on without a change. */
const REDRAW_EVERY_MS = 5_000;
const CLEAR = '\u001b[H\u001b[2J';
/** Heading, blank lines and the line of what was left out. */
const LINES_BESIDE = 5;
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

export class LiveView {
  readonly #node: Viewed;
  readonly #screen: Screen;
  readonly #showsAll: boolean;
  #drawn = '';
  #next: NodeJS.Timeout | undefined;
  #again: NodeJS.Timeout | undefined;
  #unsubscribe: () => void = () => undefined;

  /** `showsAll`: those who have left or failed, too. */
  constructor(node: Viewed, screen: Screen, { showsAll }: { readonly showsAll: boolean }) {
    this.#node = node;
    this.#screen = screen;
    this.#showsAll = showsAll;
  }

  start(): void {
    this.#unsubscribe = this.#node.subscribe(() => this.#soon());
    if (this.#screen.isTTY === true) this.#again = setInterval(() => this.#draw(), REDRAW_EVERY_MS);
    this.#draw();
  }

  stop(): void {
    this.#unsubscribe();
    clearTimeout(this.#next);
    clearInterval(this.#again);
  }

  #soon(): void {
    this.#next ??= setTimeout(() => {
      this.#next = undefined;
      this.#draw();
    }, DRAW_EVERY_MS);
  }

  #draw(): void {
    const isTerminal = this.#screen.isTTY === true;
    const rowsMax = isTerminal ? Math.max(1, (this.#screen.rows ?? 24) - LINES_BESIDE) : Number.POSITIVE_INFINITY;
    const facts = { view: this.#node.view(), now: isTerminal ? this.#node.now() : undefined };
    const text = liveText(facts, { showsAll: this.#showsAll, rowsMax });
    if (!isTerminal && text === this.#drawn) return;
    this.#drawn = text;
    this.#screen.write(isTerminal ? `${CLEAR}${text}` : `${text}\n`);
  }
}

interface Facts {
  readonly view: NodeView;
  /** Undefined: ages are left out, so that nothing changes when nothing does. */
  readonly now: number | undefined;
}

export function liveText({ view, now }: Facts, how: { readonly showsAll: boolean; readonly rowsMax: number }): string {
  const isThere = ({ status }: MemberView): boolean => status !== 'left' && status !== 'failed';
  const members = view.members.filter((member) => how.showsAll || isThere(member));
  const heading = ['NODE', 'STATE', 'SERVICE', 'KIND', 'ADDRESS', ...(now === undefined ? [] : ['KNOWN'])];
  const rows = members
    .slice(0, how.rowsMax)
    .map((member) => [
      member.name,
      member.status,
      member.tags.get(TAG_SERVICE_NAME) ?? '-',
      member.tags.get(TAG_ROLE) ?? '-',
      formatEndpoint(member.address),
      ...(now === undefined ? [] : [`${Math.max(0, Math.round((now - member.knownSince) / 1_000))}s`]),
    ]);
  const left = members.length - rows.length;
  const counts = `${view.members.filter(isThere).length} there, ${view.members.length} known`;
  const lines = [
    `${printable(view.id)} of ${printable(view.clusterName)}: ${counts}`,
    '',
    ...aligned([heading, ...rows]),
  ];
  return `${[...lines, ...(left > 0 ? [`and ${left} more`] : [])].join('\n')}\n`;
}

function aligned(rows: readonly (readonly string[])[]): string[] {
  const clean = rows.map((row) => row.map(printable));
  const widths = (clean[0] ?? []).map((_, column) => Math.max(...clean.map((row) => (row[column] ?? '').length)));
  return clean.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/** Names and tags come from other machines; control characters would let them paint over the rest. */
function printable(text: string): string {
  return text.replace(CONTROL, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
}
