import { assemble } from '@guestmode/asm'

/** A guest program of 32-bit flat code: runs `rounds` times round its loop, then HLT. */
export interface Loop {
  readonly name: string
  readonly about: string
  readonly code: Uint8Array
  /** Where `rounds` stands in the code: the immediate of the first MOV. */
  readonly roundsAt: number
}

export const codeAddress = 0x7c00
const stackTop = 0x9_0000
export const data = 0x10_0000

const loop = (name: string, about: string, body: string, rest = ''): Loop => ({
  name,
  about,
  roundsAt: 1,
  code: assemble(
    `bits 32
     mov ecx, 0x7fffffff
     mov esp, ${stackTop}
     mov esi, ${data}
     mov edi, ${data + 0x1000}
     mov ebp, ${data + 0x2000}
     mov eax, 1
     mov ebx, 2
     mov edx, 3
     jmp again
     align 16
   again:
     ${body}
     dec ecx
     jnz again
     hlt
     ${rest}`,
    { origin: codeAddress },
  ).bytes,
})

/** Twenty instructions between them: ADD AND CALL CMP DEC IMUL INC JCC JMP LEA MOV MOVZX OR POP PUSH RET SHL SHR SUB TEST XOR. */
export const loops: readonly Loop[] = [
  loop(
    'alu',
    'register arithmetic',
    `add eax, ecx
     xor edx, eax
     lea ebx, [eax+edx*2+5]
     shl ebx, 3
     and eax, 0x7fffffff
     sub edx, ebx
     shr eax, 1
     or edx, 0x11
     imul ebx, eax
     inc eax
     mov edi, edx`,
  ),
  loop(
    'mem',
    'loads, stores and read-modify-write',
    `mov eax, [esi+ebx*4]
     add eax, edx
     mov [edi+ebx*4], eax
     add [ebp+8], eax
     movzx edx, byte [esi+ebx]
     xor edx, [ebp+8]
     inc ebx
     and ebx, 0x3ff`,
  ),
  loop(
    'call',
    'near calls, returns and the stack',
    `push eax
     call function
     pop edx`,
    `align 16
   function:
     push ebp
     mov ebp, esp
     add eax, [ebp+8]
     pop ebp
     ret`,
  ),
  loop(
    'branch',
    'conditional branches that depend on data',
    `imul eax, eax, 1103515245
     add eax, 12345
     test eax, 0x10000
     jz .second
     inc ebx
     jmp .third
   .second:
     sub ebx, 3
   .third:
     cmp eax, ebx
     jb .fourth
     xor edx, eax
   .fourth:
     test eax, 0x40000
     jnz .fifth
     inc edx
   .fifth:`,
  ),
]

export function withRounds(loop: Loop, rounds: number): Uint8Array {
  const code = loop.code.slice()
  new DataView(code.buffer).setUint32(loop.roundsAt, rounds, true)
  return code
}
