import { describe, expect, test } from 'vitest'
import { assemble, AssemblyError } from '../src/index.ts'
import { nasmEach, nasmVersion, nasmWhole } from './nasm.ts'
import { ADDRESSES, everyEncoding, ODDITIES } from './samples.ts'

const version = nasmVersion()

/** Where NASM 2.16 and this assembler differ on purpose. */
function differs(text: string): boolean {
  // NASM leaves out the REX.W that zero-extends nothing, and adds one that INVPCID ignores.
  return /^sldt r(bx|bp|9)$/.test(text) || /^invpcid r/.test(text)
}

function ours(text: string, bits: 16 | 32 | 64): string | undefined {
  try {
    return Buffer.from(assemble(text, { bits }).bytes).toString('hex')
  } catch (error) {
    if (error instanceof AssemblyError && /REX prefix/.test(error.message)) return undefined
    throw error
  }
}

describe.runIf(version !== undefined)(version ?? 'skipped, nasm is not installed (apt-get install nasm)', () => {
  test.each([16, 32, 64] as const)('every encoding, address form and oddity in %i-bit code', (bits) => {
    const lines = [
      ...everyEncoding(bits),
      ...ADDRESSES[bits].flatMap((a) => [`mov ecx, ${a}`, `add byte ${a}, 7`]),
      ...ODDITIES[bits],
    ].filter((l) => !differs(l))
    const nasm = nasmEach(bits, lines)
    const found = lines.map((text, n) => ({ text, ours: ours(text, bits), nasm: nasm[n] }))
    // SYSRETQ and SYSEXITQ have no name in NASM.
    const wrong = found.filter(({ text, ours, nasm }) => ours !== nasm && !/^sys(ret|exit)q$/.test(text))
    expect(wrong).toEqual([])
    expect(found.length).toBeGreaterThan(4000)
  })

  test('a whole program: labels, jumps that grow, data and alignment', () => {
    const jumps = Array.from(
      { length: 40 },
      (_, n) => `l${n}:\n  jz l${(n * 7) % 40}\n  jmp l${(n * 13) % 40}\n  times ${n} nop\n.x: call .x\n`,
    ).join('')
    const program = `bits 32\norg 0x7c00\n${jumps}align 16\nmsg: db 'text', 13, 10, 0\nlen equ $ - msg\n  mov ecx, len\n  mov esi, msg\n  mov al, [msg + len]\n  dd l3, l39.x, $$, $\ntimes 3 dw 0x1234\nresb 3\n`
    expect(Buffer.from(assemble(program).bytes).toString('hex')).toBe(nasmWhole(program))
  })
})
