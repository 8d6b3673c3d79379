; Down to real mode and back. The code runs at LOW_BLOB; it is copied there. [SDM3 10.9.2 "Switching Back to Real-Address Mode"]

real_mode_stage:
  mov esi, text_real
  mov edi, results.real
  call stage
  mov esi, real_blob
  mov edi, LOW_BLOB
  mov ecx, real_end - LOW_BLOB
  rep movsb
  mov [protected_stack], esp
  jmp CODE16:real_entry
.back:
  mov eax, DATA32
  mov ds, eax
  mov es, eax
  mov ss, eax
  mov fs, eax
  mov gs, eax
  mov esp, [protected_stack]
  lidt [idtr32]
  movzx ecx, byte [real_passed]
  movzx edx, byte [real_failed]
  mov [results.real + 4], ecx
  mov [results.real + 8], edx
  ret

real_blob:
bits 16
org LOW_BLOB
real_entry:
  mov ax, DATA16
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov fs, ax
  mov gs, ax
  lidt [real_idtr]
  mov eax, cr0
  and al, 0xfe
  mov cr0, eax
  jmp 0:.real
.real:
  xor ax, ax
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov fs, ax
  mov gs, ax
  mov sp, REAL_STACK

  smsw ax
  test al, 1
  mov si, real_text_pe
  call real_check

  ; 0900:0123 and 0912:0003 are the same byte.
  mov ax, 0x0900
  mov es, ax
  mov byte [es:0x123], 0x5a
  mov ax, 0x0912
  mov es, ax
  cmp byte [es:3], 0x5a
  mov si, real_text_segment
  call real_check

  ; A service of its own in the vector table.
  mov word [0x60 * 4], .service
  mov word [0x60 * 4 + 2], 0
  mov ax, 20
  int 0x60
  cmp ax, 42
  mov si, real_text_interrupt
  call real_check

  ; The divide error, through vector 0. A fault: the return address is that of the DIV.
  mov word [0], .divide_error
  mov word [2], 0
  xor bx, bx
  xor dx, dx
  mov ax, 7
.division:
  div bx
.divided:
  cmp bx, 0xd1
  mov si, real_text_divide
  call real_check

  mov ax, 0x1234
  aam 10
  cmp ax, 0x0502
  mov si, real_text_decimal
  call real_check

  ; 32-bit registers by prefix.
  mov eax, 0x12345678
  rol eax, 16
  cmp eax, 0x56781234
  mov si, real_text_prefix
  call real_check

  cli
  lgdt [cs:real_gdtr]
  mov eax, cr0
  or al, 1
  mov cr0, eax
  jmp dword CODE32:real_mode_stage.back

.service:
  add ax, ax
  add ax, 2
  iret

.divide_error:
  push bp
  mov bp, sp
  cmp word [bp + 2], .division
  jne .elsewhere
  mov bx, 0xd1
.elsewhere:
  mov word [bp + 2], .divided
  pop bp
  iret

real_check:
  jz .good
  inc byte [real_failed]
  mov di, real_text_failed
  jmp .text
.good:
  inc byte [real_passed]
  mov di, real_text_ok
.text:
  xchg si, di
  call real_puts
  mov si, di
  call real_puts
  mov si, real_text_newline
real_puts:
  lodsb
  test al, al
  jz .done
  mov ah, al
  mov dx, COM1 + 5
.wait:
  in al, dx
  test al, 0x20
  jz .wait
  mov al, ah
  mov dx, COM1
  out dx, al
  jmp real_puts
.done:
  ret

real_text_ok: db '  ok      ', 0
real_text_failed: db '  FAILED  ', 0
real_text_newline: db 13, 10, 0
real_text_pe: db 'CR0.PE is clear', 0
real_text_segment: db 'segment * 16 + offset', 0
real_text_interrupt: db 'INT and IRET through the vector table', 0
real_text_divide: db 'the divide error arrives at vector 0', 0
real_text_decimal: db 'decimal adjustment', 0
real_text_prefix: db '32-bit registers by operand-size prefix', 0
real_passed: db 0
real_failed: db 0
real_idtr:
  dw 0x3ff
  dd 0
real_gdtr:
  dw gdt_end - gdt - 1
  dd gdt
real_end:
bits 32
org real_blob + (real_end - LOW_BLOB)
