import { Decoder, DecoderOptions, Formatter, FormatterSyntax, Instruction, Mnemonic } from 'iced-x86'
import { expect, test } from 'vitest'
import { assemble, AssemblyError } from '../src/index.ts'
import { everyEncoding } from './samples.ts'

/** Spellings of ours whose decoded name is another. */
const SAME: Readonly<Record<string, string>> = {
  sal: 'shl',
  icebp: 'int1',
  fwait: 'wait',
  xlatb: 'xlatb',
  retn: 'ret',
  pushf: 'pushf',
}
const CONDITION: Readonly<Record<string, string>> = {
  c: 'b',
  nae: 'b',
  nb: 'ae',
  nc: 'ae',
  z: 'e',
  nz: 'ne',
  na: 'be',
  nbe: 'a',
  pe: 'p',
  po: 'np',
  nge: 'l',
  nl: 'ge',
  ng: 'le',
  nle: 'g',
}

/** The mnemonic without operand-size letters and with one spelling per condition. */
function canonical(name: string): string {
  const n = SAME[name] ?? name
  const conditional = /^(j|set|cmov|loop)(c|nae|nb|nc|z|nz|na|nbe|pe|po|nge|nl|ng|nle)$/.exec(n)
  if (conditional !== null) return (conditional[1] as string) + CONDITION[conditional[2] as string]
  return n.replace(/^(pushf|popf|pusha|popa|iret|ret|retf|enter|leave|sysret|sysexit|lgdt|lidt|sgdt|sidt)[wdq]$/, '$1')
}

function decodeOne(bytes: Uint8Array, bits: number, ip: bigint) {
  const decoder = new Decoder(bits, bytes, DecoderOptions.None)
  decoder.ip = ip
  const instruction = new Instruction()
  decoder.decodeOut(instruction)
  const formatter = new Formatter(FormatterSyntax.Nasm)
  const text = formatter.format(instruction)
  const name = (Mnemonic[instruction.mnemonic] as string).toLowerCase()
  const { length, isInvalid } = instruction
  decoder.free()
  instruction.free()
  formatter.free()
  return { text, name, length, isInvalid }
}

const REGISTER =
  /\b([re]?(?:ax|bx|cx|dx|si|di|bp|sp)|[abcd][lh]|(?:si|di|bp|sp)l|r\d+[dwb]?|xmm\d+|mm\d+|st\d|cr\d+|dr\d+|[c-gs]s)\b/g

test.each([16, 32, 64] as const)('iced-x86 decodes every %i-bit encoding to the same instruction', (bits) => {
  const wrong: string[] = []
  for (const text of everyEncoding(bits)) {
    let bytes: Uint8Array
    try {
      bytes = assemble(text, { bits, origin: 0x2000 }).bytes
    } catch (error) {
      if (error instanceof AssemblyError && /REX prefix/.test(error.message)) continue
      throw error
    }
    let mnemonic = text.split(' ')[0] as string
    // The waiting x87 forms are FWAIT and the form with `fn`.
    if (bytes[0] === 0x9b && bytes.length > 1) {
      bytes = bytes.subarray(1)
      mnemonic = 'fn' + mnemonic.slice(1)
    }
    const decoded = decodeOne(bytes, bits, 0x2000n)
    if (decoded.isInvalid || decoded.length !== bytes.length)
      wrong.push(`${text}: ${Buffer.from(bytes).toString('hex')} decodes to ${decoded.text} (${decoded.length})`)
    else if (canonical(decoded.name) !== canonical(mnemonic)) wrong.push(`${text}: decodes as ${decoded.name}`)
    else if (!sameRegisters(text, decoded.text)) wrong.push(`${text}: decodes to ${decoded.text}`)
  }
  expect(wrong).toEqual([])
})

/**
 * Every register that the source names appears in the decoded text. Left out: what the formatter does not show (ST0 and ST1 as
 * defaults, a counter, the segment of LEA) and the width of a 16-bit source whose upper half does not matter.
 */
function sameRegisters(source: string, decoded: string): boolean {
  if (/^(loop|f(add|mul|subr?|divr?)p |fu?comp? |fxch )/.test(source)) return true
  const widthless = /^(mov [c-gs]s,|mov r\w+, ([c-gs]s|0x)|l(ar|sl) )/.test(source)
  const of = (text: string) =>
    new Set(
      (text.split(' ').slice(1).join(' ').match(REGISTER) ?? []).map((r) =>
        widthless ? r.replace(/^(r\d+)[dwb]$|^[re](?=[a-z]{2})/, '$1') : r,
      ),
    )
  const found = of(decoded)
  return [...of(source)].every((r) => found.has(r) || r === 'st0' || (source.startsWith('lea ') && /^.s$/.test(r)))
}
