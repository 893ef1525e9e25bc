// Plugins of the build: the list of files that the service worker keeps, and compressed twins of every text.
import { createHash } from 'node:crypto';
import { appendFile, readFile, readdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip, type ZlibOptions } from 'node:zlib';
import type { Plugin } from 'vite';

const TEXT = /\.(html|js|css|md|svg|webmanifest)$/;
/** What is smaller than this fits into one packet anyway (bytes). */
const WORTH_IT = 1000;

async function files(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

/** Adds the font's licence to those of the scripts: the build knows only of these. */
export function fontLicence(): Plugin {
  let root = '';
  let out = '';
  return {
    name: 'font-licence',
    apply: 'build',
    configResolved: (config) => {
      root = config.root;
      out = resolve(root, config.build.outDir);
    },
    async closeBundle() {
      const text = await readFile(join(root, 'node_modules/@fontsource-variable/inter/LICENSE'), 'utf8');
      await appendFile(join(out, 'licences.md'), `\n## Inter (typeface)\n\n${text}`);
    },
  };
}

/** Writes the shell's files and their version into `sw.js`, so that it changes when one of them does. */
export function serviceWorker(): Plugin {
  let out = '';
  return {
    name: 'service-worker',
    apply: 'build',
    configResolved: (config) => {
      out = resolve(config.root, config.build.outDir);
    },
    async closeBundle() {
      const worker = join(out, 'sw.js');
      const hash = createHash('sha256');
      const shell: string[] = [];
      for (const file of (await files(out)).sort()) {
        const path = file.slice(out.length).replaceAll('\\', '/');
        if (path === '/sw.js' || /\.(br|gz|md)$/.test(path)) continue;
        hash.update(path).update(await readFile(file));
        if (!path.endsWith('.png') && path !== '/index.html') shell.push(path);
      }
      const text = await readFile(worker, 'utf8');
      const made = text
        .replace("'__VERSION__'", JSON.stringify(hash.digest('hex').slice(0, 16)))
        .replace("['__SHELL__']", JSON.stringify(['/', ...shell]));
      await writeFile(worker, made);
    },
  };
}

/** Writes `.br` and `.gz` beside every text that gains by it; the daemon serves them as they are. */
export function compress(): Plugin {
  let out = '';
  const [br, gz] = [promisify(brotliCompress), promisify<Buffer, ZlibOptions, Buffer>(gzip)];
  return {
    name: 'compress',
    apply: 'build',
    enforce: 'post',
    configResolved: (config) => {
      out = resolve(config.root, config.build.outDir);
    },
    closeBundle: {
      order: 'post',
      sequential: true,
      async handler() {
        for (const file of (await files(out)).filter((name) => TEXT.test(name))) {
          const text = await readFile(file);
          if (text.length < WORTH_IT) continue;
          const params = { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY };
          await writeFile(`${file}.br`, await br(text, { params }));
          await writeFile(`${file}.gz`, await gz(text, { level: 9 }));
        }
      },
    },
  };
}
