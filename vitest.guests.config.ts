import { defineConfig } from 'vitest/config'

const conditions = ['@guestmode/source', 'import', 'module', 'default']

/**
 * Boots of whole guests, minutes each, one after the other so that times mean something. GUESTMODE_GUESTS=quick (npm test) asks for
 * the subset, `all` (npm run test:guests) for every guest.
 */
export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: ['{packages,apps,tools}/*/guest-tests/**/*.test.ts'],
    environment: 'node',
    passWithNoTests: true,
    fileParallelism: false,
    maxWorkers: 1,
    testTimeout: 600_000,
    hookTimeout: 600_000,
  },
})
