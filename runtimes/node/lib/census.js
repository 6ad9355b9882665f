'use strict';
// What a process has that a fork of it would share or lose: threads, connections, open files.

const fs = require('fs');
const path = require('path');

function linesOf(file) {
  try {
    return fs.readFileSync(file, 'latin1').split('\n');
  } catch {
    return [];
  }
}

// ---- threads

function threadIds() {
  return fs.readdirSync('/proc/self/task').map(Number);
}

// The package of a library, or the library's name.
function ownerOf(file) {
  const found = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(file);
  return found === null ? path.basename(file) : `${found[1]} (${path.basename(file)})`;
}

// Names the threads with these ids: ['2 threads of sharp (...)', ...].
function describeThreads(ids, known) {
  const counts = new Map();
  for (const id of ids) {
    const thread = known.find(({ tid }) => tid === id);
    const [comm] = linesOf(`/proc/self/task/${id}/comm`);
    let name = `named ${comm || 'unknown'}`;
    if (thread !== undefined && thread.path !== '') {
      const own = /^(node|nodejs|libnode\.so.*)$/.test(path.basename(thread.path));
      name = own ? 'of worker_threads' : `of ${ownerOf(thread.path)}`;
    }
    counts.set(name, (counts.get(name) || 0) + 1);
  }
  return [...counts].map(([name, n]) => `${n} ${n === 1 ? 'thread' : 'threads'} ${name}`);
}

// ---- descriptors

// /proc/net/tcp has addresses as words in the order of the machine.
function addressOf(text) {
  const [hex, port] = text.split(':');
  const bytes = Buffer.from(hex, 'hex');
  if (bytes.length === 4) return `${[...bytes.reverse()].join('.')}:${Number.parseInt(port, 16)}`;
  for (let at = 0; at < bytes.length; at += 4) bytes.subarray(at, at + 4).reverse();
  const mapped = bytes.subarray(0, 12).toString('hex') === '00000000000000000000ffff';
  if (mapped) return `${[...bytes.subarray(12)].join('.')}:${Number.parseInt(port, 16)}`;
  const words = [];
  for (let at = 0; at < 16; at += 2) words.push(bytes.readUInt16BE(at).toString(16));
  const short = words.join(':').replace(/(^|:)0(:0)+(:|$)/, '::');
  return `[${short}]:${Number.parseInt(port, 16)}`;
}

// The line of a socket in a table of /proc/self/net, as fields.
function rowOf(table, column, inode) {
  for (const line of linesOf(`/proc/self/net/${table}`)) {
    const fields = line.trim().split(/\s+/);
    if (fields[column] === inode) return fields;
  }
  return null;
}

const TCP_LISTEN = '0A';

// { kind: 'stream' | 'datagram' | 'listening', text } of a socket, or null when it is nobody's peer.
function socketOf(inode) {
  for (const table of ['tcp', 'tcp6']) {
    const row = rowOf(table, 9, inode);
    if (row === null) continue;
    if (row[3] === TCP_LISTEN) return { kind: 'listening', text: `on ${addressOf(row[1])}` };
    return { kind: 'stream', text: `to ${addressOf(row[2])} (TCP)` };
  }
  for (const table of ['udp', 'udp6']) {
    const row = rowOf(table, 9, inode);
    if (row === null) continue;
    const peer = addressOf(row[2]);
    const text = peer.endsWith(':0') ? `on ${addressOf(row[1])} (UDP)` : `to ${peer} (UDP)`;
    return { kind: 'datagram', text };
  }
  const row = rowOf('unix', 6, inode);
  if (row === null) return { kind: 'stream', text: 'of another kind' };
  const listening = (Number.parseInt(row[3], 16) & 0x10000) !== 0;
  const name = row[7] ? ` ${row[7]}` : '';
  if (listening) return { kind: 'listening', text: `on the unix socket${name}` };
  if (row[4] === '0002') return { kind: 'datagram', text: `(unix datagram${name})` };
  return { kind: 'stream', text: `(unix socket${name || ' without a name'})` };
}

// Descriptors above 4: Map of number -> where they lead to.
function descriptors() {
  const found = new Map();
  for (const name of fs.readdirSync('/proc/self/fd')) {
    const fd = Number(name);
    if (fd <= 4) continue;
    try {
      found.set(fd, fs.readlinkSync(`/proc/self/fd/${name}`));
    } catch {
      // that of the folder itself
    }
  }
  return found;
}

function isWritableFile(fd, target) {
  if (!target.startsWith('/') || target.startsWith('/dev/') || target.startsWith('/proc/')) {
    return false;
  }
  const flags = linesOf(`/proc/self/fdinfo/${fd}`).find((line) => line.startsWith('flags:'));
  return flags !== undefined && (Number.parseInt(flags.slice(6), 8) & 3) !== 0;
}

// What was opened since `baseline` (descriptors() before). connections: numbers of sockets whose
// stream would be shared; notes: sentences about them and others.
function opened(baseline) {
  const connections = [];
  const notes = [];
  const advice = 'open it in mayfly.afterRestore() or in the handler';
  for (const [fd, target] of descriptors()) {
    if (baseline.get(fd) === target) continue;
    const inode = /^socket:\[(\d+)\]$/.exec(target);
    if (inode !== null) {
      const { kind, text } = socketOf(inode[1]);
      if (kind === 'stream') {
        connections.push(fd);
        notes.push(
          `initialisation has left a connection open ${text}: instances find it closed; ${advice}`,
        );
      } else {
        const what = kind === 'listening' ? 'a listening socket' : 'a socket';
        notes.push(`initialisation has left ${what} open ${text}: all instances share it; ${advice}`);
      }
    } else if (isWritableFile(fd, target)) {
      notes.push(
        `initialisation has left ${target} open for writing: all instances share its position; ` +
          advice,
      );
    }
  }
  return { connections, notes };
}

module.exports = { threadIds, describeThreads, descriptors, opened };
