import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { assemble, defineElf32Static, defineElf64Static, ELF_LOAD_ADDRESS } from '../src/index.ts'

const hello64 = `
bits 64
org ${ELF_LOAD_ADDRESS}
  mov eax, 1
  mov edi, 1
  lea rsi, [rel text]
  mov edx, length
  syscall
  mov eax, 60
  mov edi, [rel zero]
  syscall
text: db 'sixty-four', 10
length equ $ - text
zero:`

const hello32 = `
bits 32
org ${ELF_LOAD_ADDRESS}
  mov eax, 4
  mov ebx, 1
  mov ecx, text
  mov edx, length
  int 0x80
  mov eax, 1
  mov ebx, [zero]
  int 0x80
text: db 'thirty-two', 10
length equ $ - text
zero:`

describe('static executables', () => {
  test('headers', () => {
    const elf = defineElf64Static({ code: Uint8Array.of(0xc3), bss: 100 })
    const view = new DataView(elf.buffer)
    expect(view.getBigUint64(24, true)).toBe(BigInt(ELF_LOAD_ADDRESS))
    expect(view.getBigUint64(64 + 8, true) % 4096n).toBe(view.getBigUint64(64 + 16, true) % 4096n)
    expect(view.getBigUint64(64 + 40, true)).toBe(101n)
  })

  const linux = process.platform === 'linux' && process.arch === 'x64'
  test.runIf(linux)(linux ? 'the host runs them' : 'skipped, the host is not 64-bit x86 Linux', () => {
    const folder = mkdtempSync(join(tmpdir(), 'asm-elf-'))
    try {
      const run = (name: string, bytes: Uint8Array): string => {
        writeFileSync(join(folder, name), bytes)
        chmodSync(join(folder, name), 0o755)
        return execFileSync(join(folder, name), { encoding: 'utf8' })
      }
      expect(run('a64', defineElf64Static({ code: assemble(hello64).bytes, bss: 4096 }))).toBe('sixty-four\n')
      expect(run('a32', defineElf32Static({ code: assemble(hello32).bytes, bss: 4096 }))).toBe('thirty-two\n')
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
