/** Settings from a YAML file: each with its line and column, none judged yet. */
import { readFileSync } from 'node:fs';
import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, type Scalar } from 'yaml';

export interface FileSetting {
  readonly name: string;
  readonly value: unknown;
  /** `node.yaml:4:13` */
  readonly place: string;
}

export interface FileSettings {
  readonly settings: readonly FileSetting[];
  readonly problems: readonly string[];
}

/** A file of settings is small; a large one is some other file. */
const FILE_BYTES_MAX = 1 << 20;

export function readSettingsFile(path: string): FileSettings {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    return { settings: [], problems: [`${path}: cannot be read: ${(error as Error).message}`] };
  }
  if (text.length > FILE_BYTES_MAX) return { settings: [], problems: [`${path}: more than ${FILE_BYTES_MAX} bytes`] };
  return parseSettings(text, path);
}

export function parseSettings(text: string, path: string): FileSettings {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const placeAt = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${path}:${line}:${col}`;
  };
  const broken = [...document.errors, ...document.warnings];
  if (broken.length > 0) {
    return { settings: [], problems: broken.map(({ message, pos }) => `${placeAt(pos[0])}: ${firstLine(message)}`) };
  }
  const root = document.contents;
  if (root === null || (isScalar(root) && root.value === null)) return { settings: [], problems: [] };
  if (!isMap(root))
    return { settings: [], problems: [`${placeAt(root.range?.[0] ?? 0)}: settings are lines of "name: value"`] };
  const settings: FileSetting[] = [];
  const problems: string[] = [];
  for (const { key, value } of root.items) {
    const at = (value as Node | null)?.range?.[0] ?? (key as Node).range?.[0] ?? 0;
    if (!isScalar(key)) problems.push(`${placeAt((key as Node).range?.[0] ?? 0)}: a name was expected`);
    else settings.push({ name: String(key.value), value: plainValue(value), place: placeAt(at) });
  }
  return { settings, problems };
}

/** Texts, lists and records of texts. Numbers stay as they were written, so that `0123` is a name and `900` has no unit. */
function plainValue(node: unknown): unknown {
  if (isScalar(node)) return scalarText(node);
  if (isSeq(node)) return node.items.map((item) => plainItem(item));
  if (!isMap(node)) return undefined;
  return Object.fromEntries(node.items.map(({ key, value }) => [plainItem(key), plainItem(value)]));
}

function plainItem(node: unknown): string {
  return isScalar(node) ? String(scalarText(node) ?? '') : String(node);
}

function scalarText(node: Scalar): unknown {
  if (node.value === null) return undefined;
  if (typeof node.value === 'boolean') return node.value;
  return typeof node.value === 'string' ? node.value : (node.source ?? String(node.value));
}

function firstLine(text: string): string {
  return text.split('\n')[0] as string;
}
