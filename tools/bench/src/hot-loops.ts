import { assemble } from '@guestmode/asm'

/** A loop whose rounds all have the same number of instructions. */
export interface HotLoop {
  readonly name: string
  readonly instructions: number
  readonly body: string
  /** Behind the loop. */
  readonly rest?: string
}

export const hotLoops: readonly HotLoop[] = [
  {
    name: 'alu',
    instructions: 13,
    body: `add eax, ecx
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
  },
  {
    name: 'mem',
    instructions: 10,
    body: `mov eax, [esi+ebx*4]
      add eax, edx
      mov [edi+ebx*4], eax
      add [ebp+8], eax
      movzx edx, byte [esi+ebx]
      xor edx, [ebp+8]
      inc ebx
      and ebx, 0x3ff`,
  },
  {
    name: 'call',
    instructions: 10,
    body: `push eax
      call called
      pop edx`,
    rest: `called: push ebp
      mov ebp, esp
      add eax, [ebp+8]
      pop ebp
      ret`,
  },
  {
    name: 'indirect',
    instructions: 10,
    body: `imul eax, eax, 1103515245
      add eax, 12345
      mov edx, eax
      shr edx, 16
      and edx, 3
      jmp [targets+edx*4]
    target0: inc ebx
      jmp joined
    target1: dec ebx
      jmp joined
    target2: xor ebx, eax
      jmp joined
    target3: add ebx, eax
      jmp joined
    joined:`,
    rest: 'align 4\n targets: dd target0, target1, target2, target3',
  },
]

const loadAddress = 0x10_0000
const [com1, lineStatus, transmitterEmpty] = [0x3f8, 0x3fd, 0x20]
/** [Multiboot 0.6.96, 3.1.1 "The layout of Multiboot header"]: magic; bit 16: the addresses in the header hold. */
const [multibootMagic, addressesValid] = [0x1badb002, 0x1_0000]

/** A kernel that runs the loops one after the other and says so on COM1, as the guest benchmark does. */
export function hotLoopKernel(rounds: number): Uint8Array {
  const parts = hotLoops.map(
    ({ name, body, rest }) => `
      mov esi, start_${name}
      call print
      mov ecx, ${rounds}
      mov esi, 0x200000
      mov edi, 0x201000
      mov ebp, 0x202000
      mov eax, 1
      mov ebx, 2
      mov edx, 3
      jmp again_${name}
      align 16
    again_${name}:
      ${body}
      dec ecx
      jnz again_${name}
      mov esi, end_${name}
      call print
      jmp after_${name}
      align 16
      ${rest ?? ''}
      start_${name}: db '@@ START ${name}', 10, 0
      end_${name}: db '@@ END ${name}', 10, 0
    after_${name}:`,
  )
  return assemble(
    `bits 32
    header: dd ${multibootMagic}, ${addressesValid}, -(${multibootMagic} + ${addressesValid}) & 0xffffffff
      dd header, ${loadAddress}, finish, finish, entry
    entry:
      cli
      mov esp, 0x90000
      ${parts.join('\n')}
      mov esi, done
      call print
    stop:
      hlt
      jmp stop
    print:
      mov dx, ${lineStatus}
    .wait:
      in al, dx
      test al, ${transmitterEmpty}
      jz .wait
      mov al, [esi]
      test al, al
      jz .end
      mov dx, ${com1}
      out dx, al
      inc esi
      jmp print
    .end:
      ret
    done: db '@@ DONE', 10, 0
      align 4
    finish:`,
    { origin: loadAddress },
  ).bytes
}
