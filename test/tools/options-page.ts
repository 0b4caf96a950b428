/** Writes docs/options.md from the table of options: `npm run docs`. A test holds the page to it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  environmentName,
  OPTION_KEYS,
  type OptionMeta,
  optionMeta,
  optionName,
} from '../../src/node-config/option-table.ts';
import { ROOT } from './source-tree.ts';

export const OPTIONS_PAGE: string = join(ROOT, 'docs/options.md');

const HEAD = `# Options of funknode

Every option is a flag, an environment variable and a key of the YAML file that \`--config\` (or \`FUNKNODE_CONFIG\`) names. A flag wins
over the environment, the environment over the file, the file over the default. \`funknode config\` prints what results and where each
value comes from; \`funknode config --json\` does it for programs. A bad value or an unknown key stops the start with exit code 78 and
names every problem at once; an unknown flag is wrong usage, exit code 2; an unknown \`FUNKNODE_\` variable only warns.

Switches take \`=true\` or \`=false\`, and \`--no-\` in front. Durations are written \`150ms\`, \`2s\`, \`5m\`. A repeatable option may also be
given once with commas, and in YAML as a list. Aliases are as good as the names.
`;

const TAIL = `
Beside these: \`--config FILE\`, \`--json\` (for \`funknode config\`), \`--help\`, \`--help-all\` (with the tunables of gossip), \`--version\`.

\`\`\`yaml
# node.yaml
cluster-name: shop
role: voter
interface: eth0
join: [db1:7946, db2:7946]
lease: 900ms
tag:
  zone: a
\`\`\`

This page is written by \`npm run docs\` from \`src/node-config/option-table.ts\`.
`;

export function optionsPage(): string {
  const groups = [...new Set(OPTION_KEYS.map((key) => optionMeta(key).group))];
  const sections = groups.map((group) => {
    const rows = OPTION_KEYS.filter((key) => optionMeta(key).group === group).map((key) => {
      const name = optionName(key);
      return row([flagOf(name, optionMeta(key)), `\`${environmentName(name)}\``, textOf(optionMeta(key))]);
    });
    return `\n## ${group}\n\n| flag and YAML key | environment | what it is |\n|---|---|---|\n${rows.join('')}`;
  });
  return HEAD + sections.join('') + TAIL;
}

function flagOf(name: string, meta: OptionMeta): string {
  return meta.valueName === undefined ? `\`--${name}\`` : `\`--${name} ${meta.valueName}\``;
}

function textOf(meta: OptionMeta): string {
  const aliases = (meta.aliases ?? []).map(({ name, gives }) =>
    gives === undefined ? `\`--${name}\`` : `\`--${name}\` for ${gives}`,
  );
  const notes = [
    `${capital(meta.text)}.`,
    `Default: ${meta.fallback}.`,
    meta.valueName === undefined ? '' : `Takes ${meta.expected}.`,
    meta.isRepeatable === true ? 'Repeatable.' : '',
    aliases.length === 0 ? '' : `Also ${aliases.join(', ')}.`,
  ];
  return notes.filter((note) => note !== '').join(' ');
}

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('<', '&lt;')).join(' | ')} |\n`;
}

function capital(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(OPTIONS_PAGE, optionsPage());
