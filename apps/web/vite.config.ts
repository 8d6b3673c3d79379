import { defineConfig } from 'vite'
import { guestFiles } from './scripts/guest-files.ts'

/** The page, and the worker in it, are built from the packages' sources. */
export default defineConfig({
  base: './',
  resolve: { conditions: ['@guestmode/source', 'module', 'browser', 'import', 'default'] },
  build: { outDir: 'dist/site', target: 'es2022', emptyOutDir: true },
  worker: { format: 'es' },
  plugins: [guestFiles()],
})
