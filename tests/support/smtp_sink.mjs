// A mail server for tests: takes any mail, delivers none.
//
//   node smtp_sink.mjs DIRECTORY
//
// prints "Listening on smtp://127.0.0.1:PORT" and writes the mails to DIRECTORY/1.eml, 2.eml, …:
// the headers as they came, an empty line, and the body decoded, with lines that end in "\n".
// A file is there only once it is complete. Needs no npm packages; ends by a signal.
import {existsSync, renameSync, writeFileSync} from 'node:fs';
import {createServer} from 'node:net';
import {join} from 'node:path';

const directory = process.argv[2];
if (!directory) {
  console.error('Usage: node smtp_sink.mjs DIRECTORY');
  process.exit(2);
}
const bytesMax = 1 << 20;

function decodedBody(headers, body) {
  const encoding = /^content-transfer-encoding:\s*(\S+)/im.exec(headers)?.[1].toLowerCase();
  if (encoding === 'base64') return Buffer.from(body, 'base64');
  if (encoding !== 'quoted-printable') return Buffer.from(body, 'latin1');
  const plain = body.replace(/[ \t]+$/gm, '')
    .replace(/=\n/g, '')
    .replace(/=([0-9A-Fa-f]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
  return Buffer.from(plain, 'latin1');
}

let count = 0;
function keep(lines) {
  // A leading dot was doubled on the way (RFC 5321 4.5.2).
  const text = lines.map((line) => line.replace(/^\./, '')).join('\n') + '\n';
  const end = text.indexOf('\n\n');
  const headers = end < 0 ? text : text.slice(0, end + 1);
  const body = end < 0 ? '' : text.slice(end + 2);
  do count += 1; while (existsSync(join(directory, `${count}.eml`)));
  const part = join(directory, `${count}.part`);
  writeFileSync(part, Buffer.concat([
    Buffer.from(`${headers}\n`, 'latin1'),
    decodedBody(headers, body),
  ]));
  renameSync(part, join(directory, `${count}.eml`));
}

// One connection: commands, and between DATA and "." the lines of a mail.
function converse(socket) {
  let unread = '';
  let mail = null;  // the lines of a mail on its way in
  let bytes = 0;
  const say = (line) => socket.write(`${line}\r\n`);

  function command(line) {
    const verb = line.split(/[ :]/, 1)[0].toUpperCase();
    if (['HELO', 'EHLO', 'MAIL', 'RCPT', 'RSET', 'NOOP'].includes(verb)) return say('250 OK');
    if (verb === 'DATA') {
      mail = [];
      bytes = 0;
      return say('354 End with a dot on a line of its own');
    }
    if (verb === 'QUIT') {
      say('221 Bye');
      return socket.end();
    }
    return say('502 Not implemented');
  }

  function mailLine(line) {
    if (line !== '.') {
      bytes += line.length;
      if (bytes > bytesMax) return socket.destroy();
      return mail.push(line);
    }
    keep(mail);
    mail = null;
    return say('250 Kept');
  }

  socket.setEncoding('latin1');
  socket.on('error', () => socket.destroy());
  socket.on('data', (text) => {
    const lines = (unread + text).split('\n');
    unread = lines.pop();
    if (unread.length > bytesMax) socket.destroy();
    for (const ended of lines) {
      const line = ended.replace(/\r$/, '');
      if (mail) mailLine(line);
      else command(line);
    }
  });
  say('220 smtp_sink');
}

const server = createServer(converse);
server.listen(0, '127.0.0.1', () => {
  console.log(`Listening on smtp://127.0.0.1:${server.address().port}`);
});
