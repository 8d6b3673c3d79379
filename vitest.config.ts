import { defineConfig } from 'vitest/config'

/** Tests run on sources: the `@guestmode/source` export condition resolves a package to its `src/index.ts`. */
export default defineConfig({
  resolve: { conditions: ['@guestmode/source', 'import', 'module', 'default'] },
  ssr: { resolve: { conditions: ['@guestmode/source', 'import', 'module', 'default'] } },
  test: { include: ['{packages,apps,tools}/*/{src,test}/**/*.test.ts'], environment: 'node' },
})
