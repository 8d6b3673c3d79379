import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

const conditions = ['@guestmode/source', 'import', 'module', 'default']

/** Tests run on sources: the `@guestmode/source` export condition resolves a package to its `src/index.ts`. */
export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: ['{packages,apps,tools}/*/{src,test}/**/*.test.ts', 'scripts/**/*.test.ts'],
    environment: 'node',
    maxWorkers: Math.min(availableParallelism(), 4),
    testTimeout: 20_000,
  },
})
