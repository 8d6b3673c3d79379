/** The command line program in a real terminal emulator: xterm.js, with a pseudo-terminal behind it. Makes the picture of the terminal. */
import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isDefaultGuestCached } from 'guestmode/guest'
import { expect, test } from 'vitest'
import { noBrowser, openBrowser, waitForScreen } from './browser.ts'
import { saveImage } from './images.ts'

const hasScript = spawnSync('script', ['--version']).status === 0
const program = fileURLToPath(new URL('../../cli/dist/bin.js', import.meta.url))
const COLUMNS = 100
const ROWS = 30

test('guestmode at a terminal: Linux, Nushell, and back to the shell', async ({ skip }) => {
  const reason =
    noBrowser ??
    (hasScript ? undefined : 'util-linux’ script is not installed') ??
    ((await isDefaultGuestCached()) ? undefined : 'the default guest is not in the cache')
  if (reason !== undefined) {
    writeSync(1, `  skipped: ${reason}\n`)
    skip(reason)
  }
  const bin = mkdtempSync(join(tmpdir(), 'guestmode-bin-'))
  writeFileSync(join(bin, 'guestmode'), `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`)
  chmodSync(join(bin, 'guestmode'), 0o755)
  writeFileSync(join(bin, 'profile'), "PS1='$ '\n")
  const { page, errors, close } = await openBrowser({ width: 960, height: 620 })
  const shell = spawn('script', ['-qefc', `stty cols ${COLUMNS} rows ${ROWS}; sh -i`, '/dev/null'], {
    env: { ...process.env, PATH: `${bin}:${process.env['PATH']}`, ENV: join(bin, 'profile'), TERM: 'xterm-256color' },
    stdio: 'pipe',
  })
  try {
    await page.setContent('<body style="margin:0;background:#14171c"><div id="terminal" style="padding:16px"></div></body>')
    const xterm = fileURLToPath(new URL('../node_modules/@xterm/xterm/', import.meta.url))
    await page.addStyleTag({ path: `${xterm}css/xterm.css` })
    await page.addScriptTag({ path: `${xterm}lib/xterm.js` })
    await page.exposeFunction('typed', (text: string) => void shell.stdin.write(text))
    await page.evaluate(
      ([cols, rows]) => {
        const scope = globalThis as unknown as {
          Terminal: new (options: object) => {
            open(e: Element | null): void
            onData(f: (t: string) => void): void
            focus(): void
          }
          typed: (text: string) => void
          terminal: object
        }
        const terminal = new scope.Terminal({
          cols,
          rows,
          fontSize: 15,
          fontFamily: '"DejaVu Sans Mono", monospace',
          theme: { background: '#14171c', foreground: '#d7dde5', cursor: '#6cb6ff' },
        })
        terminal.open(document.getElementById('terminal'))
        terminal.onData((text) => scope.typed(text))
        terminal.focus()
        scope.terminal = terminal
      },
      [COLUMNS, ROWS],
    )
    let shown = Promise.resolve()
    shell.stdout.on('data', (data: Buffer) => {
      const bytes = [...data]
      shown = shown.then(() =>
        page.evaluate((all) => {
          const { terminal } = globalThis as unknown as { terminal: { write(bytes: Uint8Array): void } }
          terminal.write(Uint8Array.from(all))
        }, bytes),
      )
    })
    await waitForScreen(page, /^\$ *$/m, 20_000)
    await page.keyboard.type('guestmode\n')
    await waitForScreen(page, /Ctrl-A X quits[^]*^~> /m, 300_000)
    const command = async (text: string, answer: RegExp): Promise<string> => {
      await page.keyboard.type(`${text}\n`)
      return waitForScreen(page, answer, 60_000)
    }
    await command('2 + 2', /^4$[^]*^~> /m)
    await command('sys host | select kernel_version hostname', /kernel_version[^]*6\.12\.\d+[^]*^~> /m)
    await command('ls / | where type == dir | first 4', /│ +3 │[^]*^~> /m)
    await saveImage('terminal.png', await page.locator('#terminal').screenshot())
    await page.keyboard.type('\x01')
    await page.keyboard.press('x')
    await waitForScreen(page, /guestmode: terminated[^]*^\$ *$/m, 20_000)
    expect(errors).toEqual([])
  } finally {
    shell.kill('SIGKILL')
    await close()
    rmSync(bin, { recursive: true, force: true })
  }
})
