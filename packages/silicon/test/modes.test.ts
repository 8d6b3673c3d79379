import { assemble } from '@guestmode/asm'
import { expect, test } from 'vitest'
import { MachineMemory } from '../src/machine/memory.ts'
import { privateLayout } from '../src/machine/private-layout.ts'
import { loadSegment } from '../src/microcode/index.ts'
import { Core } from '../src/processor/core.ts'

/**
 * One program through every mode, on the engine with its microcode: real, protected at levels 0 and 3, virtual-8086, long mode
 * at levels 0 and 3, compatibility. Each place it reaches writes a letter to port E9H.
 */
const program = `
bits 16
  cli
  xor ax, ax
  mov ds, ax
  mov ss, ax
  mov sp, 0x7000
  mov word [0x80*4], real_interrupt
  mov word [0x80*4+2], 0
  int 0x80
  out 0xe9, al
  lgdt [gdtr]
  mov eax, cr0
  or al, 1
  mov cr0, eax
  jmp 0x08:protected
real_interrupt:
  mov al, 'R'
  iret

bits 32
protected:
  mov ax, 0x10
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov esp, 0x6000
  lidt [idtr]
  mov ax, 0x28
  ltr ax
  mov al, 'P'
  out 0xe9, al
  call 0x08:far_procedure
  push 0x23
  push 0x5000
  push 0x3002
  push 0x1b
  push user
  iretd
far_procedure:
  mov al, 'F'
  out 0xe9, al
  retf

user:
  mov ax, 0x23
  mov ds, ax
  mov es, ax
  mov ecx, 20
.loop:
  int 0x80
  dec ecx
  jnz .loop
  mov al, 'U'
  out 0xe9, al
  cli
  pushf
  popf
  hlt                           ; #GP(0)
fault13:
  cmp dword [esp], 0
  jne $
  mov al, 'G'
  out 0xe9, al
  push 0
  push 0
  push 0
  push 0
  push 0
  push 0x4000
  push 0x23002
  push 0
  push virtual
  iretd
int80:
  push ds
  pop ds
  iretd

bits 16
virtual:
  mov ax, 0x1234
  mov ds, ax
  mov al, 'V'
  int 0x82
bits 32
int82:
  out 0xe9, al
  mov ax, 0x10
  mov ds, ax
  mov es, ax
  mov dword [0x20000], 0x21007
  mov dword [0x21000], 0x22007
  mov dword [0x22000], 0x87
  mov dword [0x3004], 0x6000
  mov dword [0x3008], 0
  mov eax, cr4
  or eax, 0x20
  mov cr4, eax
  mov eax, 0x20000
  mov cr3, eax
  mov ecx, 0xc0000080
  rdmsr
  or eax, 0x101
  wrmsr
  mov eax, cr0
  or eax, 0x80000000
  mov cr0, eax
  jmp 0x30:long

bits 64
long:
  mov rsp, 0x6000
  lidt [idtr64]
  mov al, 'L'
  out 0xe9, al
  mov ecx, 0xc0000081
  xor eax, eax
  mov edx, 0x00300030
  wrmsr
  mov ecx, 0xc0000082
  mov eax, system_entry
  xor edx, edx
  wrmsr
  mov rcx, user64
  mov r11, 0x3002
  o64 sysret
user64:
  mov rsp, 0x5000
  mov rbx, 20
.loop:
  syscall
  dec rbx
  jnz .loop
  mov al, 'S'
  out 0xe9, al
  mov rbx, 20
.loop2:
  int 0x80
  dec rbx
  jnz .loop2
  mov al, 'I'
  out 0xe9, al
  jmp far [compatible_pointer]
bits 32
compatible:
  mov al, 'C'
  out 0xe9, al
  int 0x81
bits 64
system_entry:
  o64 sysret
int80_64:
  iretq
int81_64:
  mov al, 'D'
  out 0xe9, al
  mov rax, 0x123456789abcdef0
  mov rdx, 7
  mov rcx, 16
  div rcx
  hlt

align 8
compatible_pointer:
  dd compatible
  dw 0x1b
align 8
gdt:
  dq 0
  dq 0x00cf9b000000ffff
  dq 0x00cf93000000ffff
  dq 0x00cffb000000ffff
  dq 0x00cff3000000ffff
  dq 0x0000890030000067
  dq 0x00af9b000000ffff
  dq 0x00cff3000000ffff
  dq 0x00affb000000ffff
gdtr:
  dw 0x47
  dd gdt
idtr:
  dw 0x7ff
  dd 0x2000
idtr64:
  dw 0xfff
  dq 0x1000
`

test('a program goes through every mode', () => {
  const origin = 0x7c00
  const { bytes, labels } = assemble(program, { bits: 16, origin })
  const address = (name: string): number => Number(labels.get(name))
  const layout = privateLayout(1024, 1 << 20)
  const mem = new MachineMemory(layout.end, 0x40_0000)
  let reached = ''
  const portOut = (port: number, _size: number, value: number): void => {
    if (port === 0xe9) reached += String.fromCharCode(value)
  }
  const core = new Core(mem, layout, { now: () => 0n, tsc: () => 0n, random: () => 0n, portOut }, {})
  mem.u8.set(bytes, mem.physBase + origin)
  const put = (at: number, value: number): void => mem.view.setUint32(mem.physBase + at, value, true)
  const gate = (at: number, selector: number, target: number): void => {
    put(at, (target & 0xffff) | (selector << 16))
    put(at + 4, (target & 0xffff_0000) | 0xee00)
  }
  gate(0x2000 + 13 * 8, 8, address('fault13'))
  gate(0x2000 + 0x80 * 8, 8, address('int80'))
  gate(0x2000 + 0x82 * 8, 8, address('int82'))
  gate(0x1000 + 0x80 * 16, 0x30, address('int80_64'))
  gate(0x1000 + 0x81 * 16, 0x30, address('int81_64'))
  put(0x3004, 0x6000)
  put(0x3008, 0x10)
  loadSegment(core, 1, 0, 0, 0xffff, 0x93)
  core.state.rip = BigInt(origin)
  core.state.idtrLimit = 0x3ff
  core.modeChanged()

  for (let i = 0; i < 20 && core.state.activity === 0; i++) core.run(1000)
  expect(reached).toBe('RPFUGVLSICD')
  expect(core.state.activity).toBe(1)
  expect([core.state.gpr.get(0), core.state.gpr.get(2)]).toEqual([0x7123_4567_89ab_cdefn, 0n])
  expect([core.state.cpl, core.state.codeWidth]).toEqual([0, 64])
})
