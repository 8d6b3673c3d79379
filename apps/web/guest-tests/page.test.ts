/** The built page in a real browser: it boots guests, takes keys, shows how things are. */
import { existsSync, writeSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { preview, type PreviewServer } from 'vite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { noBrowser, openBrowser, waitForScreen, type Browser } from './browser.ts'
import { saveImage } from './images.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const minutes = (n: number): number => n * 60_000

describe.skipIf(noBrowser !== undefined)(noBrowser === undefined ? 'in Chromium' : `skipped: ${noBrowser}`, () => {
  let server: PreviewServer
  let browser: Browser
  let address: string

  beforeAll(async () => {
    if (!existsSync(new URL('../dist/site/index.html', import.meta.url))) throw new Error('the page is not built: npm run build')
    server = await preview({
      root,
      configFile: `${root}/vite.config.ts`,
      preview: { port: 0, host: '127.0.0.1' },
      logLevel: 'error',
    })
    address = server.resolvedUrls?.local[0] ?? ''
    browser = await openBrowser()
  })
  afterAll(async () => {
    await browser?.close()
    await server?.close()
  })

  test('the demonstration guest boots, takes commands, is reset, and powers off', async () => {
    const { page, errors } = browser
    await page.goto(`${address}?guest=demo`)
    await waitForScreen(page, /demo>\s*$/, minutes(1))
    await page.keyboard.type('uptime\n')
    await waitForScreen(page, /ticks/, 20_000)
    expect(await page.locator('#state').textContent()).toBe('runs')
    await page.waitForFunction(() => /\d exits\/s/.test(document.getElementById('exits')?.textContent ?? ''))
    await page.locator('#reset').click()
    await waitForScreen(page, /^(?![^]*ticks)[^]*demo>\s*$/, minutes(1))
    await page.keyboard.type('halt\n')
    await page.locator('#notice', { hasText: 'powered off' }).waitFor({ timeout: 20_000 })
    expect(await page.locator('#start').isEnabled()).toBe(true)
    expect(errors).toEqual([])
  })

  test('stop, and start again', async () => {
    const { page, errors } = browser
    await page.goto(`${address}?guest=demo`)
    await waitForScreen(page, /demo>\s*$/, minutes(1))
    await page.locator('#stop').click()
    await page.locator('#notice', { hasText: 'Stopped' }).waitFor()
    await page.locator('#start').click()
    await waitForScreen(page, /demo>\s*$/, minutes(1))
    await page.keyboard.type('crash\n')
    await page.locator('#notice', { hasText: 'Triple fault' }).waitFor()
    await waitForScreen(page, /demo>\s*$/, minutes(1))
    expect(errors).toEqual([])
  })

  test('without the default guest’s files the demonstration guest starts, and the page says why', async () => {
    const { page } = browser
    await page.route('**/guest/manifest.json', async (route) => {
      const manifest = (await (await route.fetch()).json()) as { guests: { name: string }[]; missing: object[] }
      const guests = manifest.guests.filter(({ name }) => name === 'demo')
      await route.fulfill({ json: { guests, missing: [{ title: 'Linux', reason: 'not in the cache.' }] } })
    })
    await page.goto(address)
    await waitForScreen(page, /demo>\s*$/, minutes(1))
    expect(await page.locator('#notice').textContent()).toMatch(/Linux is not there: not in the cache\./)
    await page.unrouteAll()
  })

  test('a file that cannot be had is said', async () => {
    const { page } = browser
    await page.route('**/guest/demo-kernel.bin', (route) => route.fulfill({ status: 404, body: '' }))
    await page.goto(`${address}?guest=demo`)
    await page.locator('#notice.error', { hasText: 'the server says 404' }).waitFor()
    expect(await page.locator('#start').isEnabled()).toBe(true)
    await page.unrouteAll()
  })

  test('the default guest boots to a prompt and reckons', async ({ skip }) => {
    const manifest = (await (await fetch(`${address}guest/manifest.json`)).json()) as {
      guests: { name: string }[]
      missing: { reason: string }[]
    }
    if (!manifest.guests.some(({ name }) => name === 'default')) {
      const reason = manifest.missing[0]?.reason ?? ''
      writeSync(1, `  skipped: ${reason}\n`)
      skip(reason)
    }
    const { page, errors } = browser
    // What the tests before it have provoked is no error of this one.
    errors.length = 0
    const begin = Date.now()
    await page.goto(`${address}?guest=default`)
    await waitForScreen(page, /^~> /m, minutes(5))
    writeSync(1, `  the default guest in the page: prompt after ${((Date.now() - begin) / 1000).toFixed(1)} s\n`)
    await page.keyboard.type('2 + 2\n')
    await waitForScreen(page, /^4$[^]*^~> /m, minutes(1))
    await page.keyboard.type('sys host | select kernel_version hostname\n')
    await waitForScreen(page, /6\.12\.\d+[^]*^~> /m, minutes(1))
    await page.keyboard.type('ls /\n')
    await waitForScreen(page, /│ \/tmp[^]*^~> /m, minutes(1))
    await saveImage('page.png', await page.screenshot())
    expect(errors).toEqual([])
  })
})
