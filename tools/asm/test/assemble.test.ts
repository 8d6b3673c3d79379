import { describe, expect, test } from 'vitest'
import { assemble, AssemblyError, type AssembleOptions } from '../src/index.ts'

const hex = (source: string, options?: AssembleOptions) => Buffer.from(assemble(source, options).bytes).toString('hex')

function refused(source: string, options?: AssembleOptions): AssemblyError {
  try {
    assemble(source, options)
  } catch (error) {
    if (error instanceof AssemblyError) return error
    throw error
  }
  throw new Error('was accepted')
}

describe('labels', () => {
  test('local labels belong to the label before them', () => {
    const { labels } = assemble('a: nop\n.x: nop\nb: nop\n.x: jmp a.x\n')
    expect(Object.fromEntries(labels)).toEqual({ a: 0, 'a.x': 1, b: 2, 'b.x': 3 })
  })

  test('equ, $ and $$ and symbols from outside', () => {
    expect(
      hex("org 0x100\nmsg db 'abc'\nlen equ $ - msg\ndb len, $ - $$\ndw msg, far_away", { symbols: { far_away: 0x1234 } }),
    ).toBe('616263' + '0303' + '0001' + '3412')
  })

  test('64-bit values are exact', () => {
    const { symbols } = assemble('bits 64\norg 0xffffffff80000000\nstart: jmp start\nnext: dq next')
    expect(symbols.get('next')).toBe(0xffffffff80000002n)
  })

  test('a jump grows when its target is out of reach, and only then', () => {
    expect(hex('bits 32\njmp x\ntimes 127 nop\nx:').slice(0, 4)).toBe('eb7f')
    expect(hex('bits 32\njmp x\ntimes 128 nop\nx:').slice(0, 10)).toBe('e980000000')
    expect(hex('bits 32\njmp near x\nx:')).toBe('e900000000')
  })

  test('origin and org', () => {
    expect(assemble('x: nop', { origin: 0x7c00 }).labels.get('x')).toBe(0x7c00)
    expect(hex('db 1\norg 0x8000\nhere: dw here')).toBe('010080')
  })
})

describe('data', () => {
  test('numbers in every notation', () => {
    expect(hex("db 0x1f, 1fh, 0b101, 101b, 0o17, 1_0, 'A', -1, ~0 & 0xff, (1 + 2) * 3, 7 / 2, 7 % 4, 1 << 3, 0x80 >> 4")).toBe(
      '1f1f05050f0a41ffff090303' + '0808',
    )
  })

  test('strings, escapes and UTF-8', () => {
    expect(hex('db "a;b", `\\n\\x7f\\``, \'é\'')).toBe('613b62' + '0a7f60' + 'c3a9')
  })

  test('extended precision', () => {
    expect(hex('dt 1.0, -2.0, 0.0')).toBe('0000000000000080ff3f' + '000000000000008000c0' + '00000000000000000000')
  })

  test('times, align and reserved space', () => {
    expect(hex('times 2 db 1, 2\nalign 8\nalign 16, db 0\nresw 1\ntimes 20 - ($ - $$) db 9')).toBe(
      '01020102' + '90909090' + '00'.repeat(8) + '0000' + '0909',
    )
  })
})

describe('instructions', () => {
  test('default rel makes plain addresses RIP-relative, but not FS and GS ones', () => {
    expect(hex('bits 64\ndefault rel\nx: mov eax, [x]\nmov eax, [abs x]\nmov eax, [fs:0x10]')).toBe(
      '8b05faffffff' + '8b042500000000' + '648b042510000000',
    )
  })

  test('a RIP-relative displacement counts from the end, immediate included', () => {
    expect(hex('bits 64\ncmp dword [rel x], 0x12345678\nx:')).toBe('813d00000000' + '78563412')
  })

  test('mode changes within one source', () => {
    expect(hex('bits 16\njmp dword 8:x\nbits 32\nx: mov eax, ebx\nbits 64\nmov rax, rbx')).toBe(
      '66ea080000000800' + '89d8' + '4889d8',
    )
  })
})

describe('mistakes are refused with their place', () => {
  test.each([
    ['nop\n  mov eax, foo', 2, 12, /'foo' is not defined/],
    ['bits 32\n  mov [eax], 5', 2, 7, /operand size is not specified/],
    ['bits 32\nmov rax, 1', 2, 1, /does not exist in 32-bit/],
    ['frobnicate eax', 1, 1, /unknown instruction/],
    ['mov al, 300', 1, 1, /out of range/],
    ['jmp short x\ntimes 200 nop\nx:', 1, 1, /out of range/],
    ['db 256', 1, 1, /does not fit/],
    ['x: nop\nx: nop', 2, 1, /defined twice/],
    ['mov eax, [bx+cx]', 1, 10, /16-bit address/],
    ['bits 64\nmov eax, [rax+rbx*3]', 2, 10, /scaled/],
    ['bits 64\nmov r9b, ah', 2, 1, /REX/],
    ['bits 64\npush es', 2, 1, /does not exist in 64-bit code/],
    ["db 'abc", 1, 4, /not closed/],
    ['mov eax ebx', 1, 9, /unexpected/],
    ['times 1 - 2 db 0', 1, 1, /negative/],
    ['mov eax,', 1, 9, /missing/],
    ['add [bx], [si]', 1, 1, /takes these operands/],
    ['dd 1 / 0', 1, 6, /zero/],
  ])('%s', (source, line, column, reason) => {
    const error = refused(source)
    expect(error.message).toMatch(reason)
    expect([error.line, error.column]).toEqual([line, column])
  })
})
