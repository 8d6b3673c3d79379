import { ROWS } from '../src/tables/index.ts'
import type { Row, Spec } from '../src/row.ts'

const SIZE_WORD: Readonly<Record<number, string>> = { 8: 'byte', 16: 'word', 32: 'dword', 64: 'qword', 80: 'tword', 128: 'oword' }
const GP: Readonly<Record<number, string[]>> = {
  8: ['bl', 'ch', 'sil', 'r9b'],
  16: ['bx', 'bp', 'r9w'],
  32: ['ebx', 'ebp', 'r9d'],
  64: ['rbx', 'rbp', 'r9'],
}

function registers(cls: string, size: number, number: number | undefined, bits: number): string[] {
  const fixed = number ?? -1
  switch (cls) {
    case 'gp': {
      if (number !== undefined)
        return [
          (
            { 8: ['al', 'cl', 'dl'], 16: ['ax', 'cx', 'dx'], 32: ['eax', 'ecx', 'edx'], 64: ['rax', 'rcx', 'rdx'] } as Record<
              number,
              string[]
            >
          )[size]![number]!,
        ]
      return bits === 64 ? [...GP[size]!] : GP[size]!.slice(0, 2)
    }
    case 'segment':
      return number === undefined ? ['es', 'fs'] : [['es', 'cs', 'ss', 'ds', 'fs', 'gs'][fixed]!]
    case 'control':
      return bits === 64 ? ['cr0', 'cr3', 'cr8'] : ['cr0', 'cr4']
    case 'debug':
      return ['dr0', 'dr7']
    case 'x87':
      return number === undefined ? ['st1', 'st5'] : ['st0']
    case 'mmx':
      return ['mm1', 'mm6']
    default:
      return bits === 64 ? ['xmm2', 'xmm11'] : ['xmm2', 'xmm7']
  }
}

const memories = (bits: number): string[] =>
  bits === 16
    ? ['[bx+si]', '[es:di+0x1234]', '[0x1234]']
    : bits === 32
      ? ['[ebx]', '[fs:ebp+esi*4-8]', '[0x12345678]', '[si+5]']
      : ['[rbx]', '[r12+r13*8+0x12345]', '[rel $+0x100]', '[gs:ebx+4]']

function samples(spec: Spec, row: Row, bits: number): string[] {
  switch (spec.kind) {
    case 'register':
      return registers(spec.class, spec.size, spec.number, bits)
    case 'rm': {
      const out = spec.class === undefined ? [] : registers(spec.class, spec.size, undefined, bits)
      if (spec.memorySize >= 0) {
        const word = spec.memorySize === 0 ? '' : SIZE_WORD[spec.memorySize]! + ' '
        out.push(...memories(bits).map((m) => `${word}${spec.far ? 'far ' : ''}${m}`))
      }
      return out
    }
    case 'immediate': {
      const word = row.specs.length === 1 && row.defaultSize ? `${SIZE_WORD[row.operandSize]} ` : ''
      if (spec.bytes === 1) return [`${word}5`, ...(spec.check === 'signed' ? [`${word}-6`] : [])]
      if (spec.check === 'unsigned') return ['0x89abcdef']
      if (spec.bytes === 8) return ['0x123456789abcdef0', '-0x7fffffff00']
      return spec.bytes === 2 ? [`${word}0x1234`] : [`${word}0x12345678`]
    }
    case 'one':
      return ['1']
    case 'relative':
      return spec.bytes === 1 ? ['$+0x10', '$-0x10'] : [`near $+0x1000`]
    case 'offset':
      return [bits === 64 ? '[qword 0x123456789ab]' : '[0x1234]']
    case 'pointer':
      return [`${SIZE_WORD[row.operandSize]} 8:0x1234`]
  }
}

/** Instructions that together use every encoding of the tables in one mode, with a few operands each. */
export function everyEncoding(bits: 16 | 32 | 64): string[] {
  const lines = new Set<string>()
  for (const [mnemonic, rows] of ROWS)
    for (const row of rows) {
      if (bits === 64 ? !row.in64 : !row.outside64) continue
      if (row.addressSize !== 0 && (bits === 64 ? row.addressSize === 16 : row.addressSize === 64)) continue
      if (bits === 64 && row.operandSize === 16 && row.defaultSize && row.specs[0]?.kind !== 'immediate') continue
      const choices = row.specs.map((spec) => samples(spec, row, bits))
      if (choices.length === 0) lines.add(mnemonic)
      else
        for (let n = 0; n < Math.max(...choices.map((c) => c.length)); n++)
          lines.add(`${mnemonic} ${choices.map((c) => c[n % c.length]).join(', ')}`)
    }
  return [...lines]
}

export const ADDRESSES: Readonly<Record<16 | 32 | 64, readonly string[]>> = {
  16: [
    '[bx]',
    '[bp]',
    '[bp+si]',
    '[bx+di+1]',
    '[si-1]',
    '[di+0x80]',
    '[bp+0x1234]',
    '[0]',
    '[cs:bx]',
    '[ds:bp+2]',
    '[eax]',
    '[esp]',
    '[eax+ebx*2+7]',
    '[dword 0x12345]',
    '[byte bx+0]',
    '[word bx+1]',
    '[-1]',
    '[0xffff]',
  ],
  32: [
    '[eax]',
    '[esp]',
    '[ebp]',
    '[esp+4]',
    '[eax+ebp]',
    '[ebp+eax]',
    '[eax+esp]',
    '[eax*2]',
    '[eax*3]',
    '[eax*4]',
    '[ebp*2+1]',
    '[eax*5+3]',
    '[eax*8+0x1000]',
    '[ebx+eax*8-0x81]',
    '[ecx+ecx*4]',
    '[0]',
    '[fs:0]',
    '[bx+si]',
    '[word 0x1234]',
    '[byte eax+0]',
    '[dword eax+1]',
    '[0xfffffff0]',
    '[eax+0xfffffff0]',
    '[eax-0x80000000]',
  ],
  64: [
    '[rax]',
    '[rsp]',
    '[rbp]',
    '[r12]',
    '[r13]',
    '[r12+8]',
    '[r13+r12]',
    '[rbp+rax]',
    '[rax+r12*2]',
    '[rax+rsp]',
    '[r8*2]',
    '[r9*4]',
    '[r13*9-4]',
    '[abs 0x100]',
    '[0x100]',
    '[fs:0x28]',
    '[-8]',
    '[eax]',
    '[r8d+r9d*8+0x80]',
    '[rax-0x80000000]',
    '[rax+0xfffffffffffffff8]',
  ],
}

/** Things that the tables alone do not show: prefixes, sizes of jumps, data, alignment. */
export const ODDITIES: Readonly<Record<16 | 32 | 64, readonly string[]>> = {
  16: [
    'lock add [bx], al',
    'rep movsb',
    'repne scasw',
    'es lodsb',
    'rep es movsd',
    'a32 rep stosb',
    'o32 iret',
    'o32 lgdt [0x10]',
    'push word 5',
    'push dword 5',
    'push 0x1234',
    'jmp $+0x1000',
    'jmp $',
    'call $+5',
    'jmp dword 8:0x12345678',
    'jmp 8:0x10',
    'call far [bx]',
    'jmp far dword [bx]',
    'jmp [bx]',
    'call dword [bx]',
    'o32 ret',
    'mov eax, cr0',
    'mov ds, ax',
    'in al, 0x60',
    'out dx, eax',
    'xchg ax, ax',
    'nop',
    'db 1, "ab", 0x80',
    "dw 'a', 'abc', -1",
    'dd 1.5, 0x12345678',
    'dq -2.25, 1',
    'dt 3.140625',
    'fs xlatb',
    'loop $-2',
    'jcxz $+3',
    'jecxz $+4',
    'loop $, ecx',
    'bound ax, [bx]',
    'enter 16, 1',
    'add ax, byte 5',
    'add ax, strict word 5',
    'cmp word [bx], 0xffff',
    'fwait',
    'fstcw [bx]',
    'fsave [bx]',
  ],
  32: [
    'xchg eax, eax',
    'xchg eax, ebx',
    'push fs',
    'pop ds',
    'inc ax',
    'dec dword [eax]',
    'jmp 8:0x1234',
    'jmp word 8:0x1234',
    'call [eax]',
    'jmp far [eax]',
    'o16 ret',
    'a16 rep movsd',
    'push word 5',
    'push strict dword 5',
    'add eax, 0xffffffff',
    'add ax, 0xffff',
    'sub dword [eax], byte 1',
    'mov [eax], dword 5',
    'imul eax, 5',
    'imul ebx, ecx, 0x1234',
    'shl eax, 1',
    'shl dword [eax], 7',
    'mov al, [0x1234]',
    'mov [0x1234], eax',
    'mov ax, [0x1234]',
    'movzx eax, byte [ebx]',
    'mov eax, ds',
    'mov ds, eax',
    'lar eax, bx',
    'str ax',
    'sldt eax',
    'arpl ax, bx',
    'les eax, [ebx]',
    'faddp',
    'fstsw ax',
    'fnstenv [eax]',
    'cmpeqps xmm1, xmm2',
    'cmpnltsd xmm1, [eax]',
    'lock cmpxchg8b [eax]',
    'retf 8',
    'int3',
    'int 0x80',
    'sysenter',
    'test eax, [ebx]',
    'xchg [ebx], eax',
    'fcmovb st0, st3',
    'cvtsi2sd xmm0, dword [eax]',
    'pinsrw xmm1, [eax], 3',
    'movd mm0, [eax]',
  ],
  64: [
    'mov rax, 5',
    'mov rax, -5',
    'mov rax, 0xffffffff',
    'mov rax, 0x123456789',
    'mov rax, 0xfffffffffffffff0',
    'mov qword [rax], -1',
    'xchg eax, eax',
    'xchg rax, rax',
    'xchg r8, rax',
    'push 5',
    'push 0x1234',
    'push -0x1234',
    'push rax',
    'push r12',
    'push qword [rax]',
    'push word 5',
    'pop word [rax]',
    'jmp [rax]',
    'jmp rax',
    'call [rel $+0x20]',
    'o64 jmp far [rax]',
    'o64 retf',
    'iretq',
    'syscall',
    'o64 sysret',
    'mov al, [qword 0x1122334455]',
    'mov rcx, cr8',
    'mov cr8, rax',
    'mov rax, ds',
    'add rax, 0xffffffffffffffff',
    'cmp rax, 0x7fffffff',
    'mov ah, bl',
    'mov spl, bl',
    'movsx rax, byte [rbx]',
    'movsxd rax, dword [rbx]',
    'lock cmpxchg16b [rax]',
    'swapgs',
    'rep movsq',
    'jrcxz $+5',
    'jecxz $+5',
    'fxsave64 [rax]',
    'wrfsbase rax',
    'movq xmm1, rax',
    'movd r9d, xmm9',
    'cvttsd2si rax, xmm1',
    'bswap r12',
    'bswap eax',
    'test al, 1',
    'imul rax, rbx, 5',
    'crc32 rax, bl',
    'lea eax, [rbx+1]',
    'lea rax, [rel $]',
    'cmp byte [rel $+5], 7',
    'nop dword [rax]',
    'enter 0, 0',
    'lldt ax',
    'ltr [rax]',
    'vmxon [rax]',
    'vmread rax, rbx',
    'invept rax, [rbx]',
  ],
}
