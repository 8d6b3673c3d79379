import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium, type BrowserContext, type Page } from 'playwright-core'

/** Debian's Chromium, or another one that GUESTMODE_CHROMIUM names. */
const CHROMIUM = process.env['GUESTMODE_CHROMIUM'] ?? '/usr/bin/chromium'

/** Why there is no browser to test in. */
export const noBrowser: string | undefined = existsSync(CHROMIUM)
  ? undefined
  : `${CHROMIUM} is not there (apt-get install chromium; GUESTMODE_CHROMIUM names another one)`

const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

export interface Browser {
  page: Page
  /** What went wrong in the page. */
  errors: string[]
  close(): Promise<void>
}

export async function openBrowser(size = { width: 1100, height: 720 }): Promise<Browser> {
  const profile = mkdtempSync(join(tmpdir(), 'guestmode-chromium-'))
  let context: BrowserContext
  try {
    context = await chromium.launchPersistentContext(profile, {
      executablePath: CHROMIUM,
      headless: true,
      args: ARGS,
      viewport: size,
    })
  } catch (error) {
    rmSync(profile, { recursive: true, force: true })
    throw error
  }
  const page = context.pages()[0] ?? (await context.newPage())
  const errors: string[] = []
  page.on('pageerror', (error) => errors.push(String(error)))
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text())
  })
  return {
    page,
    errors,
    close: async () => {
      await context.close()
      rmSync(profile, { recursive: true, force: true })
    },
  }
}

/** What the terminal in the page shows, line by line. */
export function screen(page: Page): Promise<string> {
  return page.evaluate(() => {
    const rows = [...document.querySelectorAll('.xterm-rows > div')]
    return rows.map((row) => (row.textContent ?? '').replaceAll('\u00a0', ' ').trimEnd()).join('\n')
  })
}

export async function waitForScreen(page: Page, wanted: RegExp, timeoutMs: number): Promise<string> {
  const end = Date.now() + timeoutMs
  for (;;) {
    const text = await screen(page)
    if (wanted.test(text)) return text
    const notice = await page
      .locator('#notice')
      .textContent({ timeout: 1000 })
      .catch(() => null)
    if (Date.now() > end)
      throw new Error(`${String(wanted)} did not come in ${timeoutMs} ms; notice: ${notice?.trim()}; screen:\n${text}`)
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}
