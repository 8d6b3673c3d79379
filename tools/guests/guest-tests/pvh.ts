import { assemble } from '@guestmode/asm'

/**
 * A raw 64-bit kernel as an ELF file that QEMU starts by its PVH note: a trampoline enters 64-bit mode and builds the boot parameters.
 * [Xen docs/misc/pvh.pandoc "Boot"], [Linux Documentation/arch/x86/boot.rst "64-bit Boot Protocol"]
 */
export function wrapForQemu(kernel: { image: Uint8Array; loadAddress: number; entry64: number }): Uint8Array {
  const trampoline = assemble(TRAMPOLINE, {
    bits: 32,
    origin: TRAMPOLINE_ADDRESS,
    symbols: { kernel_entry: kernel.entry64 },
  }).bytes
  const headers = 64 + 3 * 56
  const noteAt = headers
  const trampolineAt = 0x1000
  const kernelAt = 0x2000
  const out = new Uint8Array(kernelAt + kernel.image.length)
  const view = new DataView(out.buffer)
  out.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
  view.setUint16(16, 2, true)
  view.setUint16(18, 62, true)
  view.setUint32(20, 1, true)
  view.setBigUint64(24, BigInt(TRAMPOLINE_ADDRESS), true)
  view.setBigUint64(32, 64n, true)
  view.setUint16(52, 64, true)
  view.setUint16(54, 56, true)
  view.setUint16(56, 3, true)
  const program = (n: number, type: number, offset: number, address: number, size: number) => {
    const at = 64 + n * 56
    view.setUint32(at, type, true)
    view.setUint32(at + 4, 7, true)
    for (const [k, value] of [offset, address, address, size, size, 4].entries())
      view.setBigUint64(at + 8 + 8 * k, BigInt(value), true)
  }
  const XEN_ELFNOTE_PHYS32_ENTRY = 18
  const note = new Uint8Array(assemble(`dd 4, 4, ${XEN_ELFNOTE_PHYS32_ENTRY}\ndb 'Xen', 0\ndd ${TRAMPOLINE_ADDRESS}`).bytes)
  program(0, 1, trampolineAt, TRAMPOLINE_ADDRESS, trampoline.length)
  program(1, 1, kernelAt, kernel.loadAddress, kernel.image.length)
  program(2, 4, noteAt, 0, note.length)
  out.set(note, noteAt)
  out.set(trampoline, trampolineAt)
  out.set(kernel.image, kernelAt)
  return out
}

const TRAMPOLINE_ADDRESS = 0x100000

const TRAMPOLINE = `
boot_params equ 0x90000
tables equ 0x70000
start:
  cli
  cld
  mov esp, 0x8f000
  mov edi, boot_params
  xor eax, eax
  mov ecx, 1024
  rep stosd
  mov edi, tables
  mov ecx, 6 * 1024
  rep stosd
  ; EBX is the start information.
  mov word [boot_params + 0x1fe], 0xaa55
  mov dword [boot_params + 0x202], 'HdrS'
  mov word [boot_params + 0x206], 0x20c
  mov byte [boot_params + 0x210], 0xff
  mov byte [boot_params + 0x211], 1
  mov dword [boot_params + 0x230], 0x1000000
  mov eax, [ebx + 24]
  mov [boot_params + 0x228], eax
  cmp dword [ebx + 12], 0
  je .memory
  mov esi, [ebx + 16]
  mov eax, [esi]
  mov [boot_params + 0x218], eax
  mov eax, [esi + 8]
  mov [boot_params + 0x21c], eax
.memory:
  mov edx, [ebx + 48]
  mov [boot_params + 0x1e8], dl
  mov esi, [ebx + 40]
  mov edi, boot_params + 0x2d0
.entry:
  test edx, edx
  jz .paging
  mov ecx, 5
  rep movsd
  add esi, 4
  dec edx
  jmp .entry
.paging:
  mov dword [tables], tables + 0x1003
  mov edi, tables + 0x1000
  mov eax, tables + 0x2003
.directory:
  mov [edi], eax
  add edi, 8
  add eax, 0x1000
  cmp edi, tables + 0x1020
  jb .directory
  mov edi, tables + 0x2000
  mov eax, 0x83
.page:
  mov [edi], eax
  add edi, 8
  add eax, 0x200000
  jnc .page
  lgdt [gdtr]
  mov eax, cr4
  or eax, 0x20
  mov cr4, eax
  mov eax, tables
  mov cr3, eax
  mov ecx, 0xc0000080
  rdmsr
  or eax, 0x100
  wrmsr
  mov eax, cr0
  or eax, 0x80000001
  mov cr0, eax
  jmp 0x10:long
bits 64
long:
  mov eax, 0x18
  mov ds, eax
  mov es, eax
  mov ss, eax
  mov esi, boot_params
  mov eax, kernel_entry
  jmp rax
align 8
gdt:
  dq 0, 0, 0x00af9a000000ffff, 0x00cf92000000ffff
gdtr:
  dw 31
  dd gdt
`
