// The imports among the files of a Rust target, found from its root file.
import fs from 'node:fs';
import path from 'node:path';
import { lex } from './source.mjs';

const VISIBILITY = String.raw`\bpub\b(?:\s*\([^)]*\))?`;
const KINDS = String.raw`macro_rules!|fn|struct|enum|union|trait|type|static|const(?!\s+(?:fn|unsafe|async)\b)`;
const NOTABLE = new RegExp(
  [
    String.raw`(?:#\[(?:[^\[\]]|\[[^\]]*\])*\]\s*)*(?:${VISIBILITY}\s+)?\bmod\s+(?<module>\w+)\s*(?<body>[;{])`,
    String.raw`(?<exported>${VISIBILITY}\s+)?\buse\s+(?<tree>[^;]+);`,
    // Neither the lifetime 'static nor a *const pointer.
    String.raw`(?<!['*])\b(?:${KINDS})\s+(?<item>\w+)`,
    VISIBILITY,
    String.raw`(?<![\w$])(?<!::\s*)\$?(?<path>[A-Za-z_]\w*(?:\s*::\s*\w+)+)`,
    // A type, a constant, or a function or macro in use; not a field, a method or a variable.
    String.raw`(?<![\w$])(?<!::\s*)(?<!(?<!\.)\.)(?<name>[A-Z]\w*|\w+(?=\(|!\s*[({[]))`,
    '[{}]',
  ].join('|'),
  'g',
);

const segments = (text) => text.trim().split(/\s*::\s*/);

// `a::{b, c::d as e, f::*}` as [{ path, name }]; a glob has no name.
function useTree(tree) {
  const innermost = /([\w:\s]*)\{([^{}]*)\}/;
  const spread = (_, prefix, list) => {
    const parts = list.split(',').filter((part) => part.trim());
    return parts.map((part) => prefix + part).join(',');
  };
  let flat = tree;
  while (innermost.test(flat)) flat = flat.replace(innermost, spread);
  return flat.split(',').map((one) => {
    const [written, alias] = one.split(/\s+as\s+/);
    const found = segments(written);
    if (found.at(-1) === '*') return { path: found.slice(0, -1) };
    if (found.at(-1) === 'self' && found.length > 1) found.pop();
    return { path: found, name: alias?.trim() ?? found.at(-1) };
  });
}

// `file` is the module's node in the graph of imports, `folder` the place of its child modules' files.
function newModule(file, folder, parent) {
  return { file, folder, parent, modules: new Map(), items: new Set(), uses: [], references: new Map() };
}

// Reads `file` into its module `top`, and all modules below. Returns them all.
function read(top, file) {
  const source = fs.readFileSync(file, 'utf8');
  const { code } = lex(source, 'rs');
  const found = [top];
  const open = [top]; // one entry per open brace: its module, or undefined for a block
  for (const { 0: text, index, groups } of code.matchAll(NOTABLE)) {
    const module = open.findLast(Boolean);
    const refer = (to) => module.references.set(to.join('::'), to);
    if (text === '{') open.push(undefined);
    else if (text === '}') open.pop();
    else if (groups.module) {
      const attributes = source.slice(index, index + text.length);
      const folder = path.join(module.folder, groups.module);
      let child;
      if (groups.body === '{') {
        // A node of its own for tests: their imports are not imports of the code beside them.
        const test = attributes.includes('#[cfg(test)]');
        child = newModule(test ? `${module.file} (mod ${groups.module})` : module.file, folder, module);
        found.push(child);
        open.push(child);
      } else {
        const given = attributes.match(/#\[path\s*=\s*"([^"]+)"\]/)?.[1];
        const places = given ? [path.join(path.dirname(file), given)] : [`${folder}.rs`, path.join(folder, 'mod.rs')];
        const place = places.find((one) => fs.existsSync(one));
        if (!place) throw new Error(`${file}: module ${groups.module} has no file; expected ${places.join(' or ')}`);
        child = newModule(place, given ? path.dirname(place) : folder, module);
        found.push(...read(child, place));
      }
      module.modules.set(groups.module, child);
    } else if (groups.tree) {
      for (const use of useTree(groups.tree)) {
        module.uses.push(use);
        if (!groups.exported) refer(use.path);
      }
    } else if (groups.item) {
      if (open.at(-1)) module.items.add(groups.item);
    } else if (groups.path) refer(segments(groups.path));
    else if (groups.name) refer([groups.name]);
  }
  return found;
}

// All meanings of a path in `module`: [{ module, item, through }]. `through` lists the files that re-export the name,
// then the file that defines it; `item` is unset for a path to a module. Empty for a path into another crate.
function find(root, module, [first, ...rest], busy) {
  const start = { crate: root, self: module, super: module.parent ?? module }[first];
  if (!start) return lookUp(root, module, [first, ...rest], busy);
  return rest[0] === 'super' ? find(root, start, rest, busy) : lookUp(root, start, rest, busy);
}

function lookUp(root, module, [name, ...rest], busy) {
  if (name === undefined) return [{ module, through: [module.file] }];
  const child = module.modules.get(name);
  const found = child ? lookUp(root, child, rest, busy) : [];
  if (child && rest.length) return found;
  if (module.items.has(name)) found.push({ module, item: name, through: [module.file] });

  // A `use` that leads back to itself names another crate.
  const uses = module.uses.filter((use) => !busy.has(use));
  const passOn = (hits) => found.push(...hits.map((hit) => ({ ...hit, through: [module.file, ...hit.through] })));
  for (const use of uses.filter((one) => one.name === name)) {
    passOn(reach(root, module, [...use.path, ...rest], new Set(busy).add(use)));
  }
  if (found.length) return found;
  for (const use of uses.filter((one) => !one.name)) {
    const within = new Set(busy).add(use);
    const targets = find(root, module, use.path, within).filter((hit) => !hit.item);
    targets.forEach((target) => passOn(lookUp(root, target.module, [name, ...rest], within)));
  }
  return found;
}

// Like `find`; a name without a definition, such as one made by a macro, belongs to the module before it in the path.
function reach(root, module, to, busy = new Set()) {
  for (let length = to.length; length > 0; length--) {
    const found = find(root, module, to.slice(0, length), busy);
    if (found.length) return found;
  }
  return [];
}

// Calls `add(from, to, name)` for each import of the target with this root file. Returns the files read.
export function rustImports(rootFile, add) {
  const root = newModule(rootFile, path.dirname(rootFile));
  const modules = read(root, rootFile);
  for (const module of modules) {
    for (const to of module.references.values()) {
      for (const { item, through } of reach(root, module, to)) {
        const others = through.filter((file) => file !== module.file);
        others.forEach((file) => add(module.file, file, item ?? to.at(-1)));
      }
    }
  }
  return modules.map(({ file }) => file);
}
