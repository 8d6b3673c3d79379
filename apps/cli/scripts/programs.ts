import { assemble, defineElf64Static, ELF_LOAD_ADDRESS } from '@guestmode/asm'

export function assembleInit(source: string): Uint8Array {
  return defineElf64Static({ code: assemble(source, { bits: 64, origin: ELF_LOAD_ADDRESS }).bytes })
}

/** The text of a module that exports a program in base64. */
export function binaryModule(name: string, from: string, bytes: Uint8Array): string {
  const base64 = Buffer.from(bytes).toString('base64')
  const lines = (base64.match(/.{1,120}/g) ?? []).map((line) => `  '${line}'`)
  return `/** ${from}, assembled by scripts/assemble.ts; base64. */\nexport const ${name} =\n${lines.join(' +\n')}\n`
}
