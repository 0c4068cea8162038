#!/usr/bin/env node
// Keeps the prose plain.
//
//   node tools/prose.mjs [FOLDER...]          judge every crate and contracts/src, or these folders
//   node tools/prose.mjs --list [FOLDER...]   also print the sentences that count, with file and line
//
// Fails on: too many wh-openings or pronouns in the comments of a crate's Rust and Solidity (not after code);
// a banned phrase in a comment, in Markdown outside of code, or in a string of Rust outside of tests; a long test name.
import fs from 'node:fs';
import { blank, closing, files, lex, lineAt } from './source.mjs';

const MAX_OPENINGS = 5; // percent of the sentences
const MAX_PRONOUNS = 4.6; // per 100 words
const MAX_TEST_NAME = 60; // characters

const OPENING = /^(?:what|who|whoever|where|that|whether|when|how|which)\b/i;
const PRONOUN = /\b(?:it|this|that|one|those)\b/gi;
const PHRASES = [
  ...['all the same', 'anew', 'any more', 'as deep as counts', 'dearer', 'goes on with', 'gone on with', 'has waiting'],
  ...['is none', 'nobody knows', 'of late', 'to be had', 'under way', 'whoever'],
];
const BANNED = new RegExp(`\\b(?:${PHRASES.join('|').replaceAll(' ', '\\s+')})\\b`, 'gi');

// The lines of all comments: [{ line, text, own }]. `text` is empty in fenced code; `own` is false after code.
function commentLines(source, comments) {
  let fenced = false;
  return comments.flatMap(({ at, text }) => {
    const first = lineAt(source, at);
    const own = source.slice(source.lastIndexOf('\n', at - 1) + 1, at).trim() === '';
    return text.split('\n').map((raw, index) => {
      const words = raw.replace(/^\s*(?:\/\/[/!]?|\/\*\*?|\*(?!\/))\s?/, '').replace(/\s*\*\/$/, '');
      const fence = words.trim().startsWith('```');
      const code = fence || fenced;
      if (fence) fenced = !fenced;
      return { line: first + index, text: code ? '' : words, own };
    });
  });
}

// Joins comments on consecutive lines: [{ text, own, lineOf }]. A code span becomes one word of the same length.
function paragraphs(lines) {
  const found = [];
  for (const { line, text, own } of lines) {
    const last = found.at(-1);
    if (last?.own && own && line === last.starts.at(-1).line + 1) {
      last.starts.push({ offset: last.text.length + 1, line });
      last.text += ` ${text}`;
    } else found.push({ text, own, starts: [{ offset: 0, line }] });
  }
  return found.map(({ text, own, starts }) => ({
    text: text.replace(/`[^`]*`/g, (span) => 'X'.repeat(span.length)),
    own,
    lineOf: (at) => starts.findLast(({ offset }) => offset <= at).line,
  }));
}

// Sentences of at least three words: [{ text, length, line }]. Colons and semicolons end sentences too.
function sentences(paragraph) {
  let end = 0;
  return paragraph.text.split(/([.:;?!]\s+)/).flatMap((part) => {
    const start = end + part.search(/[^\s*#-]|$/);
    end += part.length;
    const text = part.replace(/^[\s*#-]+|[\s*#-]+$/g, '');
    const length = text.split(/\s+/).length;
    return length < 3 ? [] : [{ text, length, line: paragraph.lineOf(start) }];
  });
}

function banned(text, lineOf) {
  const hits = [...text.matchAll(BANNED)];
  return hits.map((hit) => ({ line: lineOf(hit.index), text: `banned: ${hit[0].replace(/\s+/g, ' ')}` }));
}

// Strings of a Rust file outside of tests: error messages, help, logs.
function messages(path, strings, code) {
  if (!/(?:^|\/)src\/.*\.rs$/.test(path) || /\/tests(?:\.rs$|\/)/.test(path)) return [];
  const tests = [...code.matchAll(/#\[cfg\(test\)\]\s*mod \w+ \{/g)].map(({ index, 0: head }) => {
    return { from: index, to: closing(code, index + head.length - 1) };
  });
  return strings.filter(({ at }) => !tests.some(({ from, to }) => from <= at && at <= to));
}

function longTestNames(path, code) {
  const rust = /#\[(?:\w+::)*test\b[^\]]*\]\s*(?:#\[[^\]]*\]\s*)*(?:pub\s+)?(?:async\s+)?fn\s+(\w+)/g;
  const tests = code.matchAll(path.endsWith('.sol') ? /\bfunction\s+((?:test|invariant)\w*)/g : rust);
  return [...tests].filter(([, name]) => name.length > MAX_TEST_NAME).map(({ index, 0: { length }, 1: name }) => {
    return { line: lineAt(code, index + length), text: `test name of ${name.length} characters: ${name}` };
  });
}

// What a file has to be judged by: { path, sentences, faults }.
function read(path) {
  const source = fs.readFileSync(path, 'utf8');
  const lineOf = (at) => lineAt(source, at);
  if (path.endsWith('.md')) {
    const prose = source.replace(/^ *(```|~~~)[\s\S]*?^ *\1/gm, blank).replace(/(`+)(?:(?!\n\s*\n)[\s\S])*?\1/g, blank);
    return { path, sentences: [], faults: banned(prose, lineOf) };
  }
  const { comments, strings, code } = lex(source, path.split('.').pop());
  const found = paragraphs(commentLines(source, comments));
  const faults = [
    ...found.flatMap((paragraph) => banned(paragraph.text, paragraph.lineOf)),
    ...messages(path, strings, code).flatMap(({ at, text }) => {
      return banned(text.replace(/\\\n/g, '  '), (offset) => lineOf(at + offset));
    }),
    ...longTestNames(path, code),
  ];
  return { path, sentences: found.filter(({ own }) => own).flatMap(sentences), faults };
}

const list = process.argv[2] === '--list';
const chosen = process.argv.slice(list ? 3 : 2).map((folder) => folder.replace(/\/+$/, ''));
const packages = files('toml').flatMap((path) => path.match(/^([^/]+)\/Cargo\.toml$/)?.[1] ?? []);
const folders = chosen.length ? chosen : [...packages, 'contracts/src'];
const isIn = (folder, path) => path === folder || path.startsWith(`${folder}/`);
const all = files('rs', 'sol', 'md').map(read);
let failed = false;

for (const { path, faults } of all) {
  if (chosen.length && !chosen.some((folder) => isIn(folder, path))) continue;
  for (const { line, text } of faults) console.log(`${path}:${line}: ${text}`);
  failed ||= faults.length > 0;
}
for (const folder of folders) {
  let [count, openings, words, pronouns] = [0, 0, 0, 0];
  for (const { path, sentences: told } of all.filter((file) => isIn(folder, file.path))) {
    for (const { text, length, line } of told) {
      const opening = text.match(OPENING)?.[0];
      const used = text.match(PRONOUN) ?? [];
      count += 1;
      openings += opening ? 1 : 0;
      words += length;
      pronouns += used.length;
      if (list && opening) console.log(`${path}:${line}: opens with ${opening}: ${text}`);
      if (list && used.length) console.log(`${path}:${line}: ${used.join(', ')} in ${length} words: ${text}`);
    }
  }
  const share = (100 * openings) / Math.max(1, count);
  const rate = (100 * pronouns) / Math.max(1, words);
  const bad = share > MAX_OPENINGS || rate > MAX_PRONOUNS;
  failed ||= bad;
  console.log(
    `${folder}: ${count} sentences, ${share.toFixed(1)} % open with a wh-word (at most ${MAX_OPENINGS}), ` +
      `${rate.toFixed(1)} pronouns per 100 words (at most ${MAX_PRONOUNS})${bad ? ': too many' : ''}`,
  );
}
if (failed) console.log('prose: rewrite these; node tools/prose.mjs --list FOLDER prints the sentences that count');
process.exitCode = failed ? 1 : 0;
