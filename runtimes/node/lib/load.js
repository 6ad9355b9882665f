'use strict';
// Finds the user's code and tells what it is. docs/guides/writing-functions.md has the rules.

const fs = require('fs');
const path = require('path');
const { pathToFileURL } = require('url');
const { InitError, fault, describe, traceOf, logTextOf, withoutOurs } = require('./errors');
const { classify, settle } = require('./classify');
const { captureListen } = require('./listen');

const CANDIDATE_FILES = ['index', 'handler', 'app', 'main', 'function', 'server'];
const EXTENSIONS = ['.mjs', '.cjs', '.js'];
const CANDIDATE_EXPORTS = [
  'handler',
  'lambda_handler',
  'default',
  'main',
  'app',
  'application',
  'server',
  'listener',
  'fetch',
];

function settingsFrom(environ) {
  return {
    handler: (environ._HANDLER || '').trim(),
    taskRoot: environ.LAMBDA_TASK_ROOT || process.cwd(),
    entry: (environ.MAYFLY_ENTRY || '').trim(),
    concurrency: Math.max(0, Number.parseInt(environ.MAYFLY_CONCURRENCY || '0', 10) || 0),
    port: environ.PORT,
  };
}

// Imports the user's code. Resolves with { kind, target, handler, concurrency, notes }.
async function load(settings) {
  addLayers();
  const listening = captureListen(settings.port);
  try {
    const found = settings.handler
      ? await loadNamed(settings, listening)
      : await detect(settings, listening);
    const settled = await settle(found.kind, found.target, found.notes);
    return { ...found, ...settled, concurrency: settings.concurrency };
  } catch (error) {
    if (error instanceof InitError) throw error;
    const described = describe(error);
    throw new InitError(described, logTextOf(error, described));
  } finally {
    listening.release();
  }
}

// ---- a handler that was named

function existing(file) {
  for (const candidate of ['', ...['.js', '.mjs', '.cjs']]) {
    if (fs.statSync(file + candidate, { throwIfNoEntry: false })?.isFile()) return file + candidate;
  }
  const index = path.join(file, 'index.js');
  return fs.existsSync(index) ? index : null;
}

// A module of a package, found as require() finds it.
function resolved(module, paths) {
  try {
    return require.resolve(module, { paths });
  } catch {
    return null;
  }
}

// Modules of AWS's layers, for require().
function addLayers() {
  if (!fs.existsSync('/opt/nodejs')) return;
  const [major] = process.versions.node.split('.');
  const folders = [`/opt/nodejs/node${major}/node_modules`, '/opt/nodejs/node_modules'];
  if (process.env.NODE_PATH) folders.push(process.env.NODE_PATH);
  process.env.NODE_PATH = folders.join(':');
  require('module').Module._initPaths();
}

async function loadNamed(settings, listening) {
  const { handler, taskRoot } = settings;
  if (handler.includes('..')) {
    const message =
      `'${handler}' is not a valid handler name. Use absolute paths when specifying root ` +
      'directories in handler names.';
    throw new InitError(fault('Runtime.MalformedHandlerName', message));
  }
  const direct = existing(path.resolve(taskRoot, handler));
  if (direct !== null && /\.[cm]?js$/.test(direct)) {
    const found = await search(direct, settings, listening);
    if (found === null) throw new InitError(nothingIn([path.basename(direct)]));
    return found;
  }
  const base = path.basename(handler);
  const dot = base.indexOf('.');
  if (dot <= 0 || dot === base.length - 1) {
    throw new InitError(fault('Runtime.MalformedHandlerName', 'Bad handler'));
  }
  const name = base.slice(dot + 1);
  const folder = path.resolve(taskRoot, path.dirname(handler));
  const module = base.slice(0, dot);
  const file = existing(path.resolve(folder, module)) || resolved(module, [taskRoot, folder]);
  if (file === null) {
    const message = `Error: Cannot find module '${module}'`;
    throw new InitError(fault('Runtime.ImportModuleError', message));
  }
  const { names, whole } = await importUser(file);
  let target = name === 'default' && names.default === undefined ? { default: whole } : names;
  for (const part of name.split('.')) {
    target = target === undefined || target === null ? undefined : target[part];
  }
  if (target === undefined && names.default) target = names.default[name];
  if (target === undefined) {
    const message = `${handler} is undefined or not exported`;
    throw new InitError(fault('Runtime.HandlerNotFound', message));
  }
  const kind = classify(target, name);
  if (kind === null) {
    throw new InitError(fault('Runtime.HandlerNotFound', `${handler} is not a function`));
  }
  return { kind, target, handler, notes: [] };
}

// ---- detection

function nothingIn(files) {
  return fault(
    'Runtime.HandlerNotFound',
    `No handler found in ${files.join(', ')}: export a function named handler, or an app as the ` +
      'default export; or name the handler, as in --handler index.handler',
  );
}

function manifestFiles(root) {
  let manifest;
  try {
    manifest = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'));
  } catch {
    return [];
  }
  const files = [];
  let entry = manifest.exports;
  for (let depth = 0; entry && typeof entry === 'object' && depth < 4; depth++) {
    entry = entry['.'] || entry.node || entry.import || entry.require || entry.default;
  }
  if (typeof entry === 'string') files.push(entry);
  if (typeof manifest.main === 'string') files.push(manifest.main);
  const start = /^node\s+([\w./-]+)\s*$/.exec((manifest.scripts && manifest.scripts.start) || '');
  if (start !== null) files.push(start[1]);
  return files;
}

function candidates({ taskRoot, entry }) {
  const files = [];
  const add = (file) => {
    if (file !== null && !files.includes(file)) files.push(file);
  };
  if (/\.[cm]?js$/.test(entry)) add(existing(path.resolve(taskRoot, entry)));
  for (const file of manifestFiles(taskRoot)) add(existing(path.resolve(taskRoot, file)));
  for (const name of CANDIDATE_FILES) {
    for (const extension of EXTENSIONS) {
      const file = path.join(taskRoot, name + extension);
      if (fs.existsSync(file)) add(file);
    }
  }
  if (files.length === 0) {
    const single = fs.readdirSync(taskRoot).filter((name) => /\.[cm]?js$/.test(name));
    if (single.length === 1) add(path.join(taskRoot, single[0]));
  }
  return files;
}

async function detect(settings, listening) {
  const files = candidates(settings);
  if (files.length === 0) {
    throw new InitError(
      fault(
        'Runtime.HandlerNotFound',
        'No JavaScript file found in the package: expected package.json with "main", or ' +
          `${CANDIDATE_FILES.map((name) => `${name}.js`).join(', ')} (or .mjs, .cjs); or name the ` +
          'handler, as in --handler index.handler',
      ),
    );
  }
  for (const file of files) {
    const found = await search(file, settings, listening);
    if (found !== null) return found;
  }
  throw new InitError(nothingIn(files.map((file) => path.relative(settings.taskRoot, file))));
}

async function search(file, settings, listening) {
  const { names, whole } = await importUser(file);
  const label = path.relative(settings.taskRoot, file).replace(/\.[cm]?js$/, '');
  const found = pick(names, whole, label);
  const certain = found !== null && /\.(lambda_)?handler$/.test(found.handler);
  if (listening.servers.length > 0 && !certain) return listeningApp(listening, label);
  if (found !== null) return found;
  const exported = Object.keys(names).some((name) => name !== 'default' && name !== '__esModule');
  if (!exported && (await listening.wait())) return listeningApp(listening, label);
  return null;
}

function listeningApp(listening, label) {
  const notes = ['an HTTP server that calls listen(): its requests come over frames'];
  return { kind: 'listener', target: listening.chosen(), handler: `${label}.listen`, notes };
}

// whole: module.exports of a CommonJS module, where it is itself the app or the handler.
function pick(names, whole, label) {
  for (const name of CANDIDATE_EXPORTS) {
    const target = name === 'default' && whole !== undefined ? whole : names[name];
    if (target === undefined || target === null) continue;
    const kind = classify(target, name);
    if (kind !== null) return { kind, target, handler: `${label}.${name}`, notes: [] };
    if (name === 'default' && typeof target.handler === 'function') {
      return { kind: 'event', target: target.handler, handler: `${label}.handler`, notes: [] };
    }
  }
  const functions = Object.keys(names).filter((name) => typeof names[name] === 'function');
  if (functions.length === 1) {
    const [name] = functions;
    const kind = classify(names[name], name);
    const notes = ['the only function that the module exports'];
    if (kind !== null) return { kind, target: names[name], handler: `${label}.${name}`, notes };
  }
  return null;
}

// ---- importing

function isModuleSyntax(error) {
  return (
    error.code === 'ERR_REQUIRE_ESM' ||
    error.code === 'ERR_REQUIRE_ASYNC_MODULE' ||
    (error instanceof SyntaxError &&
      /Cannot use import statement|Unexpected token 'export'|await is only valid|import\.meta/.test(
        error.message,
      ))
  );
}

function packageType(file) {
  for (let folder = path.dirname(file); ; folder = path.dirname(folder)) {
    try {
      return JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8')).type;
    } catch (error) {
      if (error.code !== 'ENOENT') return undefined;
    }
    if (folder === path.dirname(folder)) return undefined;
  }
}

// Resolves with { names: the exports, whole: module.exports when CommonJS exports one thing }.
async function importUser(file) {
  try {
    const module =
      file.endsWith('.mjs') || (file.endsWith('.js') && packageType(file) === 'module');
    if (module) return { names: await import(pathToFileURL(file).href), whole: undefined };
    try {
      return namesOf(require(file));
    } catch (error) {
      if (file.endsWith('.cjs') || !isModuleSyntax(error)) throw error;
      return { names: await importAsModule(file), whole: undefined };
    }
  } catch (error) {
    throw importError(file, error);
  }
}

function namesOf(exported) {
  const isObject = typeof exported === 'object' && exported !== null;
  if (isObject && exported.__esModule) return { names: exported, whole: undefined };
  if (isObject && !(exported.handler || exported.default)) {
    return {
      names: exported,
      whole: classify(exported, 'default') === null ? undefined : exported,
    };
  }
  if (typeof exported === 'function') return { names: exported, whole: exported };
  return { names: exported || {}, whole: undefined };
}

// A .js file in ES module syntax without a package.json that says so. Newer Nodes detect it.
async function importAsModule(file) {
  const url = pathToFileURL(file).href;
  const { register } = require('module');
  const [major, minor] = process.versions.node.split('.').map(Number);
  const detects = major > 22 || (major === 22 && minor >= 7) || (major === 20 && minor >= 19);
  if (!detects && typeof register === 'function') {
    const hook = `export async function load(url, context, next) {
      return next(url, url === ${JSON.stringify(url)} ? { ...context, format: 'module' } : context);
    }`;
    register(`data:text/javascript,${encodeURIComponent(hook)}`);
  }
  return import(url);
}

// AWS's names and words for what goes wrong.
function importError(file, error) {
  const code = error && error.code;
  if (code === 'MODULE_NOT_FOUND' || code === 'ERR_MODULE_NOT_FOUND') {
    return new InitError(
      fault('Runtime.ImportModuleError', `Error: ${withoutOurs(error.message)}`, traceOf(error)),
    );
  }
  if (error instanceof SyntaxError) {
    const trace = traceOf(error);
    const located = trace.length > 0 && /^(\/|file:)/.test(trace[0]);
    const where = located ? [] : syntaxPosition(file);
    return new InitError(
      fault('Runtime.UserCodeSyntaxError', `SyntaxError: ${error.message}`, [...where, ...trace]),
    );
  }
  const described = describe(error);
  return new InitError(described, logTextOf(error, described));
}

// Node does not say where in an ES module the syntax error is, unless asked to check the file.
function syntaxPosition(file) {
  const { spawnSync } = require('child_process');
  const checked = spawnSync(process.execPath, ['--check', file], { timeout: 5000 });
  if (checked.status === 0 || checked.error) return [];
  const lines = String(checked.stderr).split('\n');
  const end = lines.findIndex((line) => line.startsWith('SyntaxError'));
  return lines.slice(0, end < 0 ? 4 : end).filter((line) => line !== '');
}

module.exports = { load, settingsFrom };
