import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export function nasmVersion(): string | undefined {
  try {
    return execFileSync('nasm', ['-v'], { encoding: 'utf8' }).trim()
  } catch {
    return undefined
  }
}

/**
 * What NASM makes of each line, or undefined where it refuses the line. NASM knows no size for some memory operands
 * (`vmptrld qword [x]`), so a refused line is tried again without its size words.
 */
export function nasmEach(bits: number, lines: readonly string[]): (string | undefined)[] {
  const out = nasmOnce(bits, lines)
  const again = lines
    .map((text, n) => ({ text: text.replace(/\b(byte|word|dword|qword|oword) (?=(far )?\[)/g, ''), n }))
    .filter(({ n }) => out[n] === undefined)
  const second = nasmOnce(
    bits,
    again.map(({ text }) => text),
  )
  for (const [k, { n }] of again.entries()) out[n] = second[k]
  return out
}

function nasmOnce(bits: number, lines: readonly string[]): (string | undefined)[] {
  const folder = mkdtempSync(join(tmpdir(), 'asm-test-'))
  try {
    const out: (string | undefined)[] = new Array<string | undefined>(lines.length).fill(undefined)
    let wanted = lines.map((text, n) => ({ text, n }))
    const source = join(folder, 'a.asm')
    for (let round = 0; round < 3; round++) {
      writeFileSync(source, `bits ${bits}\n` + wanted.map(({ text }) => `align 64\n${text}\n`).join(''))
      const run = spawnSync('nasm', ['-w-all', '-f', 'bin', '-l', join(folder, 'a.lst'), '-o', join(folder, 'a.bin'), source], {
        encoding: 'utf8',
      })
      const bad = new Set([...run.stderr.matchAll(/:(\d+): error/g)].map((m) => Number(m[1])))
      if (bad.size === 0) break
      wanted = wanted.filter((_, k) => !bad.has(3 + 2 * k))
    }
    const byLine = new Map<number, string>()
    for (const line of readFileSync(join(folder, 'a.lst'), 'utf8').split('\n')) {
      const m = /^ *(\d+) [0-9A-F]{8} ([0-9A-F()[\]]+)(-?)/.exec(line)
      if (m !== null) byLine.set(Number(m[1]), (byLine.get(Number(m[1])) ?? '') + m[2]!.replace(/[()[\]]/g, ''))
    }
    for (const [k, { n }] of wanted.entries()) out[n] = byLine.get(3 + 2 * k)?.toLowerCase()
    return out
  } finally {
    rmSync(folder, { recursive: true })
  }
}

export function nasmWhole(source: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'asm-test-'))
  try {
    writeFileSync(join(folder, 'a.asm'), source)
    execFileSync('nasm', ['-w-all', '-f', 'bin', '-o', join(folder, 'a.bin'), join(folder, 'a.asm')])
    return readFileSync(join(folder, 'a.bin')).toString('hex')
  } finally {
    rmSync(folder, { recursive: true })
  }
}
