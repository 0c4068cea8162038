// Source files: the list of them, and their split into comments, strings and code.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';

// Git refuses to read the checkout of another user, as a container may mount, unless told otherwise.
const LIST = ['-c', 'safe.directory=*', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'];
const listed = new Set(execFileSync('git', LIST, { encoding: 'utf8', maxBuffer: 1 << 28 }).split('\0'));
const present = [...listed].filter((path) => path && fs.existsSync(path)).sort();

// The paths below the working directory of all files, tracked or new but not ignored, with one of these extensions.
export const files = (...extensions) => present.filter((path) => extensions.includes(path.split('.').pop()));

const COMMENT = String.raw`\/\/[^\n]*|\/\*[\s\S]*?\*\/`;
const STRING = {
  // A quote without a second one after a single character begins a lifetime.
  rs: String.raw`\b[bc]?r(?<hashes>#*)"[\s\S]*?"\k<hashes>|"(?:\\[\s\S]|[^"\\])*"|'(?:\\.[^'\n]*|[^\\'\n])'`,
  sol: String.raw`"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'`,
};

// Splits Rust (`rs`) or Solidity (`sol`): { comments, strings, code }, the first two as [{ at, text }]. `code` has the
// length and lines of the source, with blanks for comments and strings. A string like "crate::hex" stays in the code,
// because attributes name modules by strings.
export function lex(source, language) {
  const comments = [];
  const strings = [];
  const code = source.replace(new RegExp(`${COMMENT}|${STRING[language]}`, 'gu'), (text, ...rest) => {
    const at = rest.find((value) => typeof value === 'number');
    (text.startsWith('/') ? comments : strings).push({ at, text });
    return /^"(?:crate|super|self)(?:::\w+)+"$/.test(text) ? ` ${text.slice(1, -1)} ` : blank(text);
  });
  return { comments, strings, code };
}

// Spaces of the same length, with the same lines.
export const blank = (text) => text.replace(/[^\n]/g, ' ');

// The line of an offset, from 1.
export const lineAt = (source, offset) => source.slice(0, offset).split('\n').length;

// The offset of the brace that closes the brace at `open`.
export function closing(code, open) {
  let depth = 0;
  for (let at = open; at < code.length; at++) {
    if (code[at] === '{') depth += 1;
    if (code[at] === '}' && --depth === 0) return at;
  }
  return code.length;
}
