; Long mode: 4-level paging with memory at 0 and once more at the start of the upper half. [SDM3 10.8.5 "Initializing IA-32e Mode"]

HIGH equ 0xffff800000000000

long_stage:
  mov eax, 0x80000001
  cpuid
  bt edx, 29
  jc .have
  mov esi, text_no_long
  call puts
  cli
  hlt
.have:
  mov esi, text_long
  mov edi, results.long
  call stage
  call frame
  mov [kernel_cr3], eax
  mov ebx, eax
  call frame
  mov edx, eax
  or al, 3
  mov [ebx], eax
  mov [ebx + 256 * 8], eax
  call frame
  mov edi, eax
  or al, 3
  mov [edx], eax
  mov eax, 0x83
  mov ecx, 512
.identity:
  mov [edi], eax
  add edi, 8
  add eax, 0x200000
  loop .identity
  mov eax, cr4
  or eax, 0x620               ; PAE, OSFXSR, OSXMMEXCPT
  mov cr4, eax
  mov cr3, ebx
  mov ecx, 0xc0000080
  rdmsr
  or eax, 0x101               ; LME, SCE
  wrmsr
  mov eax, cr0
  or eax, 0x80010000
  and al, 0xfb                ; EM off
  or al, 2                    ; MP
  mov cr0, eax
  jmp CODE64:long_entry

bits 64
default abs
long_entry:
  mov eax, DATA64
  mov ds, eax
  mov es, eax
  mov ss, eax
  xor eax, eax
  mov fs, eax
  mov gs, eax
  mov rsp, stack_top
  call build_idt64
  lidt [idtr64]
  mov ecx, 0xc0000080
  rdmsr
  not eax
  test ah, 4                  ; LMA
  mov rsi, text_lma
  call check64

  mov rax, 0x0123456789abcdef
  mov r9, rax
  bswap r9
  mov r10, 0xefcdab8967452301
  cmp r9, r10
  mov rsi, text_registers
  call check64

  mov rbx, HIGH
  mov qword [scratch], 0x77
  cmp qword [rbx + scratch], 0x77
  mov rsi, text_high
  call check64

  mov rbx, 0x0000800000000000
  mov qword [resume], .not_canonical
  mov rax, [rbx]
.not_canonical:
  cmp dword [last_vector], 13
  mov rsi, text_canonical
  call check64

  mov rbx, 0x0000123456789000
  mov qword [resume], .absent
  mov [rbx], rax
.absent:
  cmp dword [last_vector], 14
  jne .absent_done
  cmp dword [last_error], 2
  jne .absent_done
  cmp [last_address], rbx
.absent_done:
  mov rsi, text_absent
  call check64

  ; In compatibility mode byte 48 is DEC EAX, in 64-bit mode a REX prefix.
  mov eax, 5
  jmp far [.compatibility_pointer]
.compatibility_pointer:
  dd .compatibility
  dw CODE32
bits 32
.compatibility:
  db 0x48
  jmp CODE64:.from_compatibility
bits 64
.from_compatibility:
  cmp eax, 4
  mov rsi, text_compatibility
  call check64

  mov rax, -3
  mov rcx, 0x100000001
  imul rcx
  mov r8, rdx
  idiv rcx
  sub rax, -3
  sub r8, -1
  or rax, r8
  mov rsi, text_wide
  call check64

  mov rsi, .source
  mov rdi, scratch
  mov ecx, 2
  rep movsq
  movdqu xmm0, [.source]
  movdqu xmm1, [scratch]
  pcmpeqd xmm0, xmm1
  movmskps eax, xmm0
  cmp eax, 15
  mov rsi, text_sse
  call check64
  jmp system
.source: dq 0x1122334455667788, 0x99aabbccddeeff00

; The 64-bit twins of putc, puts and check.
putc64:
  push rdx
  push rax
  mov dx, COM1 + 5
.wait:
  in al, dx
  test al, 0x20
  jz .wait
  pop rax
  mov dx, COM1
  out dx, al
  pop rdx
  ret

puts64:
  push rsi
  push rax
.next:
  lodsb
  test al, al
  jz .done
  call putc64
  jmp .next
.done:
  pop rax
  pop rsi
  ret

check64:
  push rax
  push rdi
  sete al
  push rsi
  mov rsi, text_ok
  mov edi, [current_stage]
  test al, al
  jnz .good
  mov rsi, text_failed
  inc dword [rdi + 8]
  jmp .text
.good:
  inc dword [rdi + 4]
.text:
  call puts64
  pop rsi
  call puts64
  call newline
  pop rdi
  pop rax
  ret

newline:
  push rsi
  mov rsi, text_newline
  call puts64
  pop rsi
  ret

; RAX in decimal, at least ECX characters wide.
put_decimal:
  push rax
  push rbx
  push rcx
  push rdx
  push rsi
  mov rsi, number_end
  mov ebx, 10
.digit:
  xor edx, edx
  div rbx
  add dl, '0'
  dec rsi
  mov [rsi], dl
  dec ecx
  test rax, rax
  jnz .digit
.pad:
  test ecx, ecx
  jle .out
  mov al, ' '
  call putc64
  dec ecx
  jmp .pad
.out:
  call puts64
  pop rsi
  pop rdx
  pop rcx
  pop rbx
  pop rax
  ret

; RAX in ECX hexadecimal digits.
put_hex:
  push rax
  push rbx
  push rcx
  mov rbx, rax
  push rcx
  shl ecx, 2
  neg ecx
  add ecx, 64
  shl rbx, cl
  pop rcx
.digit:
  rol rbx, 4
  mov al, bl
  and al, 15
  add al, '0'
  cmp al, '9'
  jbe .out
  add al, 'a' - '9' - 1
.out:
  call putc64
  loop .digit
  pop rcx
  pop rbx
  pop rax
  ret

build_idt64:
  mov rdi, idt64
  mov rax, stubs64
  mov ecx, VECTORS
.next:
  mov [rdi], ax
  mov word [rdi + 2], CODE64
  mov word [rdi + 4], 0x8e00
  mov rdx, rax
  shr rdx, 16
  mov [rdi + 6], rdx
  mov dword [rdi + 12], 0
  add rax, 5
  add rdi, 16
  loop .next
  ret
