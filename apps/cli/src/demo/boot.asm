; The demonstration guest. It needs no download, and shows the processor's modes one after the other: protected mode, real mode,
; 32-bit paging, PAE, long mode; then three processes with page tables of their own under a timer, and a prompt on COM1.
; A multiboot kernel: entered in flat 32-bit protected mode with paging off. [Multiboot Specification 0.6.96 3.2 "Machine state"]
; This file: entry and 32-bit services. Then real.asm, paging.asm, long.asm, tasks.asm, user.asm, shell.asm, data.asm, in this order.

COM1         equ 0x3f8
PIC1         equ 0x20
PIC2         equ 0xa0
PM1A_CONTROL equ 0x604
DEBUG_EXIT   equ 0xf4

IMAGE        equ 0x100000
LOW_BLOB     equ 0x8000        ; where the real-mode code runs
REAL_STACK   equ 0x7000
FRAMES       equ 0x200000      ; page frames are handed out from here
ALIAS32      equ 0xc0000000

CODE32       equ 0x08
DATA32       equ 0x10
CODE16       equ 0x18
DATA16       equ 0x20
CODE64       equ 0x28
DATA64       equ 0x30
USER_DATA_SELECTOR equ 0x43
USER_CODE_SELECTOR equ 0x4b
TSS_SELECTOR equ 0x50

bits 32
org IMAGE
image:
  jmp start
align 4
multiboot:
  dd 0x1badb002, 0x00010003, -(0x1badb002 + 0x00010003)
  dd multiboot, image, image_end, bss_end, start

start:
  cli
  cld
  mov esp, stack_top
  mov [boot_information], ebx
  mov [boot_magic], eax
  lgdt [gdtr]
  jmp CODE32:.flat
.flat:
  mov eax, DATA32
  mov ds, eax
  mov es, eax
  mov ss, eax
  mov fs, eax
  mov gs, eax
  call serial_setup
  mov esi, text_banner
  call puts
  call build_idt32
  lidt [idtr32]
  call protected_mode
  call real_mode_stage
  call paging_stage
  call pae_stage
  jmp long_stage

; The UART: 115200 baud, 8 data bits, FIFO on, interrupts of received data.
serial_setup:
  mov ebx, .table
.next:
  movzx edx, word [ebx]
  mov al, [ebx + 2]
  out dx, al
  add ebx, 3
  cmp ebx, .end
  jb .next
  ret
.table:
  dw COM1 + 3
  db 0x80
  dw COM1
  db 1
  dw COM1 + 1
  db 0
  dw COM1 + 3
  db 3
  dw COM1 + 2
  db 7
  dw COM1 + 4
  db 0x0b
  dw COM1 + 1
  db 1
.end:

; AL to the serial port.
putc:
  push edx
  push eax
  mov dx, COM1 + 5
.wait:
  in al, dx
  test al, 0x20
  jz .wait
  pop eax
  mov dx, COM1
  out dx, al
  pop edx
  ret

; The string at ESI.
puts:
  push esi
  push eax
.next:
  lodsb
  test al, al
  jz .done
  call putc
  jmp .next
.done:
  pop eax
  pop esi
  ret

; Begins a mode: its name is at ESI, its entry of the result table in EDI.
stage:
  mov [current_stage], edi
  push esi
  mov esi, text_stage
  call puts
  pop esi
  call puts
  mov esi, text_newline
  jmp puts

; Reports the check at ESI: ZF is set when it holds.
check:
  push eax
  push edi
  sete al
  push esi
  mov esi, text_ok
  mov edi, [current_stage]
  test al, al
  jnz .good
  mov esi, text_failed
  inc dword [edi + 8]
  jmp .text
.good:
  inc dword [edi + 4]
.text:
  call puts
  pop esi
  call puts
  mov esi, text_newline
  call puts
  pop edi
  pop eax
  ret

; EAX: a zeroed page frame.
frame:
  push edi
  push ecx
  mov edi, [next_frame]
  add dword [next_frame], 0x1000
  push edi
  xor eax, eax
  mov ecx, 1024
  rep stosd
  pop eax
  pop ecx
  pop edi
  ret

build_idt32:
  mov ecx, 32
  mov edi, idt32
  mov eax, stubs32
.next:
  mov [edi], ax
  mov word [edi + 2], CODE32
  mov word [edi + 4], 0x8e00
  mov edx, eax
  shr edx, 16
  mov [edi + 6], dx
  add eax, 5
  add edi, 8
  loop .next
  ret

; A stub is a CALL of five bytes, whose return address tells the vector.
stubs32:
  times 32 call near exception32

; Notes vector, error code and CR2, and goes on at [resume]; without that address the exception is a fault of this program.
exception32:
  pushad
  mov eax, [esp + 32]
  sub eax, stubs32 + 5
  xor edx, edx
  mov ecx, 5
  div ecx
  mov [last_vector], eax
  lea ebp, [esp + 36]
  mov dword [last_error], 0
  bt [vectors_with_error], eax
  jnc .no_error
  mov ecx, [ebp]
  mov [last_error], ecx
  add ebp, 4
.no_error:
  mov ecx, cr2
  mov [last_address], ecx
  mov ecx, [resume]
  test ecx, ecx
  jz .panic
  mov [ebp], ecx
  mov dword [resume], 0
  mov [exception_frame], ebp
  popad
  mov esp, [exception_frame]
  iretd
.panic:
  mov esi, text_unexpected
  call puts
  cli
  hlt
  jmp .panic

protected_mode:
  mov esi, text_protected
  mov edi, results.protected
  call stage
  smsw ax
  test al, 1
  setz al
  test al, al
  mov esi, text_pe
  call check
  mov dword [resume], .undefined
  ud2
.undefined:
  cmp dword [last_vector], 6
  mov esi, text_ud
  call check
  xor edx, edx
  mov eax, 1
  xor ecx, ecx
  mov dword [resume], .divided
  div ecx
.divided:
  cmp dword [last_vector], 0
  mov esi, text_de
  call check
  ; Selector 0x40 is ring 3 data with RPL 0: loadable as data, never as a stack of ring 0.
  mov eax, 0x40
  mov dword [resume], .stack
  mov ss, eax
.stack:
  cmp dword [last_vector], 13
  jne .stack_done
  cmp dword [last_error], 0x40
.stack_done:
  mov esi, text_gp
  call check
  ; A data segment that ends at 64 KiB.
  mov eax, DATA16
  mov fs, eax
  mov dword [resume], .limit
  mov al, [fs:0x10000]
.limit:
  mov eax, DATA32
  mov fs, eax
  cmp dword [last_vector], 13
  mov esi, text_limit
  jmp check
