import { fileURLToPath } from 'node:url';
import tailwindcss from '@tailwindcss/vite';
import vue from '@vitejs/plugin-vue';
import { defineConfig } from 'vitest/config';
import { compress, fontLicence, serviceWorker } from './build/plugins.ts';

/** Where `npm run dev` finds a node: the mock, or a real one. */
const node = process.env.ARCHY_NODE ?? 'http://127.0.0.1:8790';
const proxied = { target: node, changeOrigin: true, secure: false, headers: { origin: node } };

export default defineConfig({
  plugins: [vue(), tailwindcss(), fontLicence(), serviceWorker(), compress()],
  resolve: { alias: { '@': fileURLToPath(new URL('./src', import.meta.url)) } },
  define: { __VUE_OPTIONS_API__: 'false', __VUE_PROD_DEVTOOLS__: 'false' },
  build: {
    target: 'es2022',
    // the directory around it is always there, so that cargo sees when it changes
    outDir: 'dist/site',
    // what is inlined as data would need a wider policy
    assetsInlineLimit: 0,
    license: { fileName: 'licences.md' },
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: { proxy: { '/rpc': proxied, '/health': proxied, '/ws': { ...proxied, ws: true } } },
  test: { environment: 'happy-dom', include: ['src/**/*.test.ts'] },
});
