// Runs a check in a small tree of its own.
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

// Writes `sources` ({ path: text }) into a new repository and runs `tool` there: { status, lines }.
export function check(tool, sources, ...args) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'check-'));
  try {
    execFileSync('git', ['init', '--quiet', folder]);
    for (const [name, text] of Object.entries(sources)) {
      fs.mkdirSync(path.join(folder, path.dirname(name)), { recursive: true });
      fs.writeFileSync(path.join(folder, name), text);
    }
    const program = fileURLToPath(new URL(`../${tool}`, import.meta.url));
    const { status, stdout, stderr } = spawnSync('node', [program, ...args], { cwd: folder, encoding: 'utf8' });
    return { status, lines: `${stdout}${stderr}`.split('\n').filter(Boolean) };
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}
