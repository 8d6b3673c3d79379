import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { getGuest, GUESTS, GuestUnavailable, tryGuest } from '../src/index.ts'
import { withLock } from '../src/lock.ts'

let cacheDir: string
beforeAll(() => void (cacheDir = mkdtempSync(join(tmpdir(), 'guests-'))))
afterAll(() => rmSync(cacheDir, { recursive: true }))

describe('with an empty cache and no fetching', () => {
  test.each(Object.keys(GUESTS))('%s has a reason, for tests to print', async (name) => {
    const { reason } = await tryGuest(name, { cacheDir, offline: true })
    expect(reason).toMatch(/is not in the cache \(.*\)/)
    await expect(getGuest(name, { cacheDir, offline: true })).rejects.toThrow(GuestUnavailable)
  })
})

test('an unknown name is a mistake, not an unavailable guest', async () => {
  await expect(tryGuest('windows')).rejects.toThrow(/no guest is called 'windows'; there are .*default, /)
})

test('a lock admits one at a time', async () => {
  const events: string[] = []
  const body = (name: string) => async () => {
    events.push(`${name} in`)
    await new Promise((resolve) => setTimeout(resolve, 20))
    events.push(`${name} out`)
  }
  await Promise.all([withLock(join(cacheDir, 'x'), body('a')), withLock(join(cacheDir, 'x'), body('b'))])
  expect(events[0]?.slice(0, 1)).toBe(events[1]?.slice(0, 1))
})
