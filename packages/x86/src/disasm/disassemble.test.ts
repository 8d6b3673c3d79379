import { expect, test } from 'vitest'
import { decode } from '../decode/decode.ts'
import type { CodeWidth } from '../decode/insn.ts'
import { disassemble } from './disassemble.ts'

function text(hex: string, width: CodeWidth, address: bigint | number = 0x1000n): string {
  const bytes = Uint8Array.from(hex.replaceAll(' ', '').match(/../g)!, (pair) => parseInt(pair, 16))
  const result = decode(bytes, 0, bytes.length, width)
  return result.ok ? disassemble(result.insn, address) : result.reason
}

test.each<[string, CodeWidth, string]>([
  ['48 8b 44 8d f0', 64, 'mov rax,QWORD PTR [rbp+rcx*4-0x10]'],
  ['48 8b 05 f0 ff ff ff', 64, 'mov rax,QWORD PTR [rip-0x10] # 0xff7'],
  ['65 48 8b 04 25 28 00 00 00', 64, 'mov rax,QWORD PTR gs:[0x28]'],
  ['a1 34 12 00 00', 32, 'mov eax,DWORD PTR ds:[0x1234]'],
  ['8b 40 04', 16, 'mov ax,WORD PTR [bx+si+0x4]'],
  ['f3 48 ab', 64, 'rep stos QWORD PTR es:[rdi],rax'],
  ['f2 ae', 32, 'repne scas al,BYTE PTR es:[edi]'],
  ['f3 a6', 32, 'repe cmps BYTE PTR [esi],BYTE PTR es:[edi]'],
  ['f0 48 0f c7 0f', 64, 'lock cmpxchg16b XMMWORD PTR [rdi]'],
  ['48 83 c0 f0', 64, 'add rax,0xfffffffffffffff0'],
  ['0f 84 f0 00 00 00', 64, 'je 0x10f6'],
  ['eb fe', 16, 'jmp 0x1000'],
  ['9a 34 12 00 00 10 00', 32, 'call 0x10:0x1234'],
  ['66 0f 6f 44 24 f0', 64, 'movdqa xmm0,XMMWORD PTR [rsp-0x10]'],
  ['66 48 0f 6e c0', 64, 'movq xmm0,rax'],
  ['dc c1', 32, 'fadd st(1),st'],
  ['f3 0f 1e fa', 64, 'endbr64'],
  ['48 98', 64, 'cdqe'],
  ['48 cf', 64, 'iretq'],
  ['67 e3 00', 64, 'jecxz 0x1003'],
  ['44 88 e7', 64, 'mov dil,r12b'],
  ['88 e7', 64, 'mov bh,ah'],
  ['45 0f 20 c0', 64, 'mov r8,cr8'],
])('%s in %d-bit code', (hex, width, expected) => {
  expect(text(hex, width)).toBe(expected)
})

test('branch targets wrap at the operand size', () => {
  expect(text('e9 fd ff', 16, 0)).toBe('jmp 0x0')
  expect(text('e9 f0 ff', 16, 0)).toBe('jmp 0xfff3')
  expect(text('eb 10', 64, 0xfffffffffffffff8n)).toBe('jmp 0xa')
})
