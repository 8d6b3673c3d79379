import { describe, expect, test } from 'vitest'
import { decode, withoutFeature } from './decode.ts'
import type { CodeWidth, DecodeFailure, Insn, MemOperand } from './insn.ts'

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(hex.replaceAll(' ', '').match(/../g)!, (pair) => parseInt(pair, 16))
}

function insnOf(hex: string, width: CodeWidth): Insn {
  const bytes = bytesOf(hex)
  const result = decode(bytes, 0, bytes.length, width)
  if (!result.ok) throw new Error(`${hex}: ${result.reason}`)
  return result.insn
}

function failureOf(hex: string, width: CodeWidth): DecodeFailure | 'none' {
  const bytes = bytesOf(hex)
  const result = decode(bytes, 0, bytes.length, width)
  return result.ok ? 'none' : result.reason
}

const memoryOf = (hex: string, width: CodeWidth): MemOperand => {
  const operand = insnOf(hex, width).operands.find(({ kind }) => kind === 'mem')
  return operand as MemOperand
}

describe('operands', () => {
  test('ModRM, SIB and displacement', () => {
    expect(insnOf('48 8b 44 8d f0', 64).operands).toEqual([
      { kind: 'reg', cls: 'gpr', index: 0, width: 64 },
      {
        kind: 'mem',
        base: 5,
        index: 1,
        scale: 2,
        disp: -16,
        seg: 2,
        segOverride: false,
        addrSize: 64,
        ripRelative: false,
        width: 64,
      },
    ])
  })

  test('16-bit addressing pairs its registers and takes SS with BP', () => {
    expect(memoryOf('8b 42 fe', 16)).toMatchObject({ base: 5, index: 6, scale: 0, disp: -2, seg: 2, addrSize: 16 })
    expect(memoryOf('8b 07', 16)).toMatchObject({ base: 3, index: -1, disp: 0, seg: 3 })
    expect(memoryOf('8b 06 fe ff', 16)).toMatchObject({ base: -1, index: -1, disp: -2, seg: 3 })
  })

  test('R12 and R13 as base keep DS; R12 as index exists, RSP does not', () => {
    expect(memoryOf('41 8b 04 24', 64)).toMatchObject({ base: 12, index: -1, seg: 3 })
    expect(memoryOf('41 8b 45 00', 64)).toMatchObject({ base: 13, seg: 3 })
    expect(memoryOf('42 8b 04 24', 64)).toMatchObject({ base: 4, index: 12, seg: 2 })
    expect(memoryOf('8b 04 24', 64)).toMatchObject({ base: 4, index: -1, seg: 2 })
    expect(memoryOf('8b 04 25 00 00 00 80', 64)).toMatchObject({
      base: -1,
      index: -1,
      disp: -0x80000000,
      ripRelative: false,
      seg: 3,
    })
  })

  test('RIP-relative in 64-bit code only, whatever REX.B says', () => {
    expect(memoryOf('8b 05 10 00 00 00', 64)).toMatchObject({ base: -1, disp: 16, ripRelative: true })
    expect(memoryOf('41 8b 05 10 00 00 00', 64)).toMatchObject({ base: -1, disp: 16, ripRelative: true })
    expect(memoryOf('8b 05 10 00 00 00', 32)).toMatchObject({ base: -1, disp: 16, ripRelative: false })
  })

  test('AH without REX is SPL with REX', () => {
    expect(insnOf('88 e0', 64).operands).toEqual([
      { kind: 'reg', cls: 'gpr', index: 0, width: 8 },
      { kind: 'reg', cls: 'gpr8h', index: 0, width: 8 },
    ])
    expect(insnOf('40 88 e0', 64).operands[1]).toEqual({ kind: 'reg', cls: 'gpr', index: 4, width: 8 })
  })

  test('immediates are sign-extended to the size they stand for', () => {
    expect(insnOf('83 c0 ff', 32).operands[1]).toEqual({ kind: 'imm', value: -1, width: 32 })
    expect(insnOf('48 81 c0 00 00 00 80', 64).operands[1]).toEqual({ kind: 'imm', value: -0x80000000, width: 64 })
    expect(insnOf('48 b8 88 77 66 55 44 33 22 f1', 64).operands[1]).toEqual({
      kind: 'imm',
      value: 0x55667788,
      value64: 0xf122334455667788n,
      width: 64,
    })
    expect(insnOf('cd 80', 32).operands[0]).toEqual({ kind: 'imm', value: -128, width: 8 })
  })

  test('memory offsets are as long as the address size', () => {
    expect(memoryOf('a1 34 12', 16)).toMatchObject({ disp: 0x1234, width: 16 })
    expect(memoryOf('a1 88 77 66 55 44 33 22 11', 64)).toMatchObject({ disp: 0x55667788, disp64: 0x1122334455667788n, width: 32 })
    expect(memoryOf('67 a1 88 77 66 55', 64)).toMatchObject({ disp: 0x55667788, addrSize: 32 })
  })

  test('string instructions show their memory; only the source takes an override', () => {
    expect(insnOf('f3 65 48 a5', 64)).toMatchObject({
      mnemonic: 'MOVS',
      rep: 0xf3,
      operands: [
        { kind: 'mem', base: 7, seg: 0, segOverride: false, width: 64 },
        { kind: 'mem', base: 6, seg: 5, segOverride: true, width: 64 },
      ],
    })
  })

  test('far pointers', () => {
    expect(insnOf('9a 78 56 34 12 10 00', 32).operands).toEqual([{ kind: 'far', selector: 0x10, offset: 0x12345678, width: 48 }])
    expect(insnOf('ea 00 f0 34 12', 16).operands).toEqual([{ kind: 'far', selector: 0x1234, offset: 0xf000, width: 32 }])
    expect(memoryOf('48 ff 28', 64).width).toBe(80)
  })
})

describe('sizes', () => {
  test('66 and 67 toggle, REX.W wins', () => {
    expect(insnOf('01 c0', 16).operandSize).toBe(16)
    expect(insnOf('66 01 c0', 16).operandSize).toBe(32)
    expect(insnOf('66 48 01 c0', 64).operandSize).toBe(64)
    expect(insnOf('67 8b 00', 16).addressSize).toBe(32)
    expect(insnOf('67 8b 00', 32).addressSize).toBe(16)
    expect(insnOf('67 8b 00', 64).addressSize).toBe(32)
  })

  test('d64 leaves 66 its meaning, f64 does not', () => {
    expect(insnOf('50', 64)).toMatchObject({ operandSize: 64, operands: [{ width: 64 }] })
    expect(insnOf('66 50', 64).operandSize).toBe(16)
    expect(insnOf('66 e8 00 00 00 00', 64)).toMatchObject({ operandSize: 64, operands: [{ kind: 'rel', width: 32 }] })
    expect(insnOf('66 e8 00 00', 32)).toMatchObject({ operandSize: 16, operands: [{ kind: 'rel', width: 16 }] })
    expect(insnOf('0f 20 c0', 64).operands[0]).toMatchObject({ width: 64 })
  })

  test('a mandatory 66 says nothing of sizes', () => {
    expect(insnOf('66 0f 6e c0', 32).operands[1]).toMatchObject({ cls: 'gpr', width: 32 })
    expect(insnOf('66 0f 6e c0', 32).operandSize).toBe(32)
    expect(insnOf('66 48 0f 6e c0', 64).operands[1]).toMatchObject({ cls: 'gpr', width: 64 })
    expect(insnOf('66 f2 0f 38 f1 c0', 32).operands).toMatchObject([{ width: 32 }, { width: 16 }])
  })
})

describe('prefixes', () => {
  test('REX counts only right before the opcode', () => {
    expect(insnOf('48 66 01 c0', 64)).toMatchObject({ operandSize: 16, length: 4 })
  })

  test('the last of F2 and F3 selects, before 66', () => {
    expect(insnOf('f2 f3 0f 58 c1', 32).mnemonic).toBe('ADDSS')
    expect(insnOf('66 f2 0f 58 c1', 32).mnemonic).toBe('ADDSD')
    expect(insnOf('66 0f 58 c1', 32).mnemonic).toBe('ADDPD')
  })

  test('REP is reported only where it repeats', () => {
    expect(insnOf('f3 c3', 64)).toMatchObject({ mnemonic: 'RET', rep: 0 })
    expect(insnOf('f2 ae', 32)).toMatchObject({ mnemonic: 'SCAS', rep: 0xf2 })
    expect(insnOf('f3 0f b8 c0', 32)).toMatchObject({ mnemonic: 'POPCNT', rep: 0 })
  })

  test('64-bit code ignores ES, CS, SS and DS overrides', () => {
    expect(insnOf('64 2e 8b 00', 64)).toMatchObject({ segOverride: 4 })
    expect(insnOf('2e 8b 00', 64)).toMatchObject({ segOverride: -1 })
    expect(memoryOf('2e 8b 00', 32)).toMatchObject({ seg: 1, segOverride: true })
  })

  test('LOCK needs a memory destination of an instruction that takes it', () => {
    expect(insnOf('f0 01 00', 32).lock).toBe(true)
    expect(failureOf('f0 01 c0', 32)).toBe('invalid')
    expect(failureOf('f0 03 00', 32)).toBe('invalid')
    expect(failureOf('f0 39 00', 32)).toBe('invalid')
    expect(failureOf('f0 90', 32)).toBe('invalid')
    expect(insnOf('f0 0f c7 08', 32).mnemonic).toBe('CMPXCHG8B')
  })
})

describe('encodings by mode', () => {
  test.each([
    ['63 c8', 'ARPL', 'ARPL', 'MOVSXD'],
    ['40', 'INC', 'INC', 'truncated'],
    ['06', 'PUSH', 'PUSH', 'invalid'],
    ['82 c0 01', 'ADD', 'ADD', 'invalid'],
    ['d6', 'SALC', 'SALC', 'invalid'],
    ['c4 00', 'LES', 'LES', 'invalid'],
    ['c4 c0', 'invalid', 'invalid', 'invalid'],
    ['62 00', 'BOUND', 'BOUND', 'invalid'],
    ['0f 01 f8', 'invalid', 'invalid', 'SWAPGS'],
    ['f3 0f ae c0', 'invalid', 'invalid', 'RDFSBASE'],
  ])('%s', (hex, ...expected) => {
    const found = ([16, 32, 64] as const).map((width) => {
      const result = decode(bytesOf(hex), 0, bytesOf(hex).length, width)
      return result.ok ? result.insn.mnemonic : result.reason
    })
    expect(found).toEqual(expected)
  })

  test('90 is XCHG R8 with REX.B, PAUSE with F3', () => {
    expect(insnOf('90', 64).mnemonic).toBe('NOP')
    expect(insnOf('48 90', 64).mnemonic).toBe('NOP')
    expect(insnOf('f3 90', 64).mnemonic).toBe('PAUSE')
    expect(insnOf('49 90', 64)).toMatchObject({ mnemonic: 'XCHG', operands: [{ index: 8 }, { index: 0 }] })
  })

  test('CMPXCHG16B by REX.W', () => {
    expect(insnOf('48 0f c7 0f', 64)).toMatchObject({ mnemonic: 'CMPXCHG16B', feature: 'cx16', operands: [{ width: 128 }] })
    expect(insnOf('0f c7 0f', 64)).toMatchObject({ mnemonic: 'CMPXCHG8B', feature: 'cx8', operands: [{ width: 64 }] })
  })
})

test.each([
  ['d6', 'SALC'],
  ['f1', 'INT1'],
  ['c0 f0 01', 'SHL'],
  ['d1 f0', 'SHL'],
  ['f6 c8 01', 'TEST'],
  ['f7 c8 01 00 00 00', 'TEST'],
  ['0f ff c0', 'UD0'],
  ['0f b9 c0', 'UD1'],
  ['0f 0b', 'UD2'],
  ['0f 1f 44 00 00', 'NOP'],
  ['0f 19 c0', 'NOP'],
  ['f3 0f 1e fa', 'NOP'],
  ['df c0', 'FFREEP'],
  ['dc d1', 'FCOM'],
  ['dd c9', 'FXCH'],
  ['d9 d9', 'FSTPNCE'],
  ['db e4', 'FNSETPM'],
])('encodings that the tables of the manual leave blank: %s is %s', (hex, mnemonic) => {
  expect(insnOf(hex, 32)).toMatchObject({ mnemonic, length: hex.replaceAll(' ', '').length / 2 })
})

test.each([
  '8e c8',
  '8e f0',
  '0f 20 08',
  '44 0f 20 c8',
  '8d c0',
  '0f 01 d7',
  'fe d0',
  '0f 04',
  '0f 0e',
  'f2 0f 28 c0',
  'f3 0f ae 00',
])('undefined: %s', (hex) => expect(failureOf(hex, 64)).toBe('invalid'))

test('MOV to CR ignores ModRM.mod', () => {
  expect(insnOf('0f 22 18', 32)).toMatchObject({
    length: 3,
    operands: [
      { cls: 'cr', index: 3 },
      { cls: 'gpr', index: 0 },
    ],
  })
})

test('what a processor without the feature does', () => {
  expect(withoutFeature(insnOf('f3 0f bc c1', 64))).toMatchObject({ mnemonic: 'BSF', feature: 'base', length: 4, rep: 0 })
  expect(withoutFeature(insnOf('f3 0f bd c1', 64))?.mnemonic).toBe('BSR')
  expect(withoutFeature(insnOf('f3 0f 09', 64))?.mnemonic).toBe('WBINVD')
  expect(withoutFeature(insnOf('f3 0f b8 c1', 64))).toBeUndefined()
})

describe('ends', () => {
  test('more than 15 bytes', () => {
    expect(failureOf(`${'66'.repeat(14)} 90`, 32)).toBe('none')
    expect(failureOf(`${'66'.repeat(15)} 90`, 32)).toBe('too-long')
    expect(failureOf('66'.repeat(15), 32)).toBe('too-long')
    expect(failureOf(`${'2e'.repeat(10)} 81 05 00 00 00 00 00 00 00 00`, 32)).toBe('too-long')
  })

  test('fewer bytes than the instruction has', () => {
    const bytes = bytesOf('2e 81 84 24 00 10 00 00 78 56 34 12')
    for (let limit = 0; limit < bytes.length; limit++) {
      expect(decode(bytes, 0, limit, 32)).toEqual({ ok: false, reason: 'truncated', length: limit })
    }
    expect(decode(bytes, 0, bytes.length, 32)).toMatchObject({ ok: true, insn: { length: 12 } })
  })

  test('the offset is where the instruction starts', () => {
    expect(decode(bytesOf('ff ff 90'), 2, 3, 32)).toMatchObject({ ok: true, insn: { mnemonic: 'NOP', length: 1 } })
  })
})
