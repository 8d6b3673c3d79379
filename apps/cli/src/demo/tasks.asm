; Tasks under the timer. Task 0 is the shell in the kernel, 1 to 3 are processes with page tables of their own, the last one idles.

VECTORS     equ 49             ; exceptions, the PICs' 16 interrupts at 32, and YIELD
YIELD       equ 48
HZ          equ 100
TASKS       equ 5
IDLE        equ 4
TASK_SIZE   equ 128
; Fields of a task.
T_STACK     equ 0              ; saved RSP
T_TOP       equ 8              ; top of its kernel stack
T_CR3       equ 16
T_STATE     equ 24
T_WAKE      equ 32             ; tick at which it wakes
T_TICKS     equ 40             ; ticks it was running at
T_NAME      equ 48
T_DATA      equ 56             ; its data frame, as the kernel sees it
T_FPU       equ 64
T_SWITCHES  equ 72
; States.
DEAD        equ 0
READY       equ 1
SLEEPING    equ 2
WAITING     equ 3

; A saved task: 15 registers, vector, error code, then what IRETQ takes.
F_RDI       equ 72
F_RAX       equ 112
F_VECTOR    equ 120
F_ERROR     equ 128
F_RIP       equ 136
F_CS        equ 144
F_RFLAGS    equ 152
F_RSP       equ 160
F_SS        equ 168
FRAME_SIZE  equ 176

; Processes live in the second 512 GiB: code, data, stack, a page each.
USER_CODE   equ 0x8000000000
USER_DATA   equ 0x8000001000
USER_STACK  equ 0x8000003000
; A process's data page.
D_OWNER     equ 0
D_ROUNDS    equ 8
D_VALUE     equ 16
D_WRONG     equ 24

SYS_SLEEP   equ 1
SYS_EXIT    equ 2

stubs64:
  times VECTORS call near interrupt64

; Makes all frames alike: the stub's return address becomes the vector, and a zero stands for a missing error code.
interrupt64:
  push rax
  mov rax, [rsp + 8]
  sub rax, stubs64 + 5
  imul eax, eax, 13108        ; / 5
  shr eax, 16
  bt [vectors_with_error], eax
  jc .error_code
  xchg rax, [rsp]
  mov qword [rsp + 8], 0
  jmp .save
.error_code:
  mov [rsp + 8], rax
  pop rax
.save:
  push rax
  push rbx
  push rcx
  push rdx
  push rbp
  push rdi
  push rsi
  push r8
  push r9
  push r10
  push r11
  push r12
  push r13
  push r14
  push r15
  cld
  mov eax, [rsp + F_VECTOR]
  cmp eax, 32
  jb exception64
  je timer
  cmp eax, 36
  je serial_interrupt
  cmp eax, YIELD
  je schedule
  cmp eax, 39                 ; spurious interrupts of the PICs get no end of interrupt
  je return_to_task
  mov al, 0x20
  out PIC1, al
  jmp return_to_task

exception64:
  mov [last_vector], eax
  mov rcx, cr2
  mov [last_address], rcx
  mov rcx, [rsp + F_ERROR]
  mov [last_error], ecx
  test byte [rsp + F_CS], 3
  jnz kill_process
  mov rcx, [resume]
  test rcx, rcx
  jz panic
  mov [rsp + F_RIP], rcx
  mov qword [resume], 0
  jmp return_to_task

; A fault of a process ends that process and nothing else.
kill_process:
  mov rsi, text_killed
  call puts64
  mov rbx, [current]
  mov rsi, [rbx + T_NAME]
  call puts64
  mov rsi, text_killed_by
  call puts64
  call describe_exception
  mov qword [rbx + T_STATE], DEAD
  jmp schedule

describe_exception:
  mov eax, [last_vector]
  mov ecx, 1
  call put_decimal
  mov rsi, text_at
  call puts64
  mov rax, [rsp + 8 + F_RIP]
  mov ecx, 16
  call put_hex
  mov rsi, text_error_code
  call puts64
  mov eax, [last_error]
  mov ecx, 4
  call put_hex
  cmp dword [last_vector], 14
  jne newline
  mov rsi, text_address
  call puts64
  mov rax, [last_address]
  mov ecx, 16
  call put_hex
  jmp newline

panic:
  mov rsi, text_panic
  call puts64
  call describe_exception
.halt:
  cli
  hlt
  jmp .halt

timer:
  inc qword [ticks]
  mov rbx, [current]
  inc qword [rbx + T_TICKS]
  call drain_serial
  mov rbx, tasks
  mov ecx, TASKS
.wake:
  cmp qword [rbx + T_STATE], SLEEPING
  jne .next
  mov rax, [ticks]
  cmp rax, [rbx + T_WAKE]
  jb .next
  mov qword [rbx + T_STATE], READY
.next:
  add rbx, TASK_SIZE
  loop .wake
  mov al, 0x20
  out PIC1, al
  jmp schedule

serial_interrupt:
  call drain_serial
  mov al, 0x20
  out PIC1, al
  jmp schedule

; Received characters into the ring; the shell wakes when it waits for them.
drain_serial:
  mov dx, COM1 + 5
  in al, dx
  test al, 1
  jz .done
  mov dx, COM1
  in al, dx
  movzx ecx, byte [ring_head]
  mov [ring + rcx], al
  inc byte [ring_head]
  cmp qword [tasks + T_STATE], WAITING
  jne drain_serial
  mov qword [tasks + T_STATE], READY
  jmp drain_serial
.done:
  ret

; Round robin: the next task that is ready after the current one, or the idle task.
schedule:
  mov rbx, [current]
  mov [rbx + T_STACK], rsp
  mov rax, [rbx + T_FPU]
  fxsave64 [rax]
  mov rdx, rbx
  mov ecx, IDLE
  mov rax, tasks + (IDLE - 1) * TASK_SIZE
  cmp rdx, rax
  jbe .next
  mov rdx, rax                ; after the idle task comes task 0
.next:
  add rdx, TASK_SIZE
  cmp rdx, rax
  jbe .test
  mov rdx, tasks
.test:
  cmp qword [rdx + T_STATE], READY
  je .found
  loop .next
  mov rdx, tasks + IDLE * TASK_SIZE
.found:
  cmp rdx, rbx
  je .same
  inc qword [rdx + T_SWITCHES]
  inc qword [switches]
.same:
  mov [current], rdx
  mov rax, [rdx + T_TOP]
  mov [tss + 4], rax
  mov rax, [rdx + T_CR3]
  mov rcx, cr3
  cmp rax, rcx
  je .space
  mov cr3, rax
.space:
  mov rax, [rdx + T_FPU]
  fxrstor64 [rax]
  mov rsp, [rdx + T_STACK]

return_to_task:
  pop r15
  pop r14
  pop r13
  pop r12
  pop r11
  pop r10
  pop r9
  pop r8
  pop rsi
  pop rdi
  pop rbp
  pop rdx
  pop rcx
  pop rbx
  pop rax
  add rsp, 16
  iretq

; SYSCALL: RAX is the service, RDI its argument. The frame is that of an interrupt, so that any task can follow.
; [SDM3 6.8.8 "Fast System Calls in 64-Bit Mode"]
syscall_entry:
  mov [user_stack], rsp
  mov rsp, [tss + 4]
  push USER_DATA_SELECTOR
  push qword [user_stack]
  push r11
  push USER_CODE_SELECTOR
  push rcx
  push 0
  push YIELD
  push rax
  push rbx
  push rcx
  push rdx
  push rbp
  push rdi
  push rsi
  push r8
  push r9
  push r10
  push r11
  push r12
  push r13
  push r14
  push r15
  mov rbx, [current]
  cmp eax, SYS_SLEEP
  je .sleep
  cmp eax, SYS_EXIT
  jne .unknown
  mov qword [rbx + T_STATE], DEAD
  jmp schedule
.sleep:
  add rdi, [ticks]
  mov [rbx + T_WAKE], rdi
  mov qword [rbx + T_STATE], SLEEPING
  jmp schedule
.unknown:
  mov qword [rsp + F_RAX], -1
  jmp return_to_task

; Processes, timer, prompt.
system:
  mov rsi, text_processes
  mov dword [current_stage], results.processes
  call puts64
  mov word [gdt_tss + 2], tss & 0xffff
  mov eax, tss
  shr eax, 16
  mov [gdt_tss + 4], al
  mov [gdt_tss + 7], ah
  mov eax, TSS_SELECTOR
  ltr ax
  mov ecx, 0xc0000081         ; STAR
  xor eax, eax
  mov edx, CODE64 | 0x38 << 16
  wrmsr
  inc ecx                     ; LSTAR
  mov eax, syscall_entry
  xor edx, edx
  wrmsr
  mov ecx, 0xc0000084         ; FMASK: IF, DF, TF
  mov eax, 0x700
  wrmsr

  call make_kernel_tasks
  mov r12d, 1
.process:
  call make_process
  inc r12d
  cmp r12d, IDLE
  jb .process

  ; Each process finds its own number where the others find theirs: one address, three frames.
  mov rax, [tasks + TASK_SIZE + T_CR3]
  mov cr3, rax
  mov rbx, USER_DATA
  mov r8, [rbx]
  mov rax, [tasks + 2 * TASK_SIZE + T_CR3]
  mov cr3, rax
  mov r9, [rbx]
  mov eax, [kernel_cr3]
  mov cr3, rax
  cmp r8, 1
  jne .spaces
  cmp r9, 2
.spaces:
  mov rsi, text_spaces
  call check64

  call start_timer
  sti
  mov rbx, [ticks]
  mov r8, 400000000
.ticking:
  mov rax, [ticks]
  sub rax, rbx
  cmp rax, 3
  jae .ticked
  pause
  dec r8
  jnz .ticking
.ticked:
  test r8, r8
  setz al
  test al, al
  mov rsi, text_ticks
  call check64
  jmp shell

make_kernel_tasks:
  mov rbx, tasks
  call kernel_task
  mov qword [rbx + T_NAME], name_shell
  mov qword [rbx + T_TOP], stack_top
  mov [current], rbx
  mov rbx, tasks + IDLE * TASK_SIZE
  call kernel_task
  mov qword [rbx + T_NAME], name_idle
  mov rax, [rbx + T_TOP]
  sub rax, FRAME_SIZE
  mov [rbx + T_STACK], rax
  mov qword [rax + F_RIP], idle
  mov qword [rax + F_CS], CODE64
  mov qword [rax + F_RFLAGS], 0x202
  mov rcx, [rbx + T_TOP]
  mov [rax + F_RSP], rcx
  mov qword [rax + F_SS], DATA64
  ret

; The task at RBX: a stack, an FPU area, the kernel's page tables.
kernel_task:
  call frame64
  add rax, 0x1000
  mov [rbx + T_TOP], rax
  call frame64
  mov word [rax], 0x37f       ; FCW and MXCSR as after reset
  mov dword [rax + 24], 0x1f80
  mov [rbx + T_FPU], rax
  mov eax, [kernel_cr3]
  mov [rbx + T_CR3], rax
  mov qword [rbx + T_STATE], READY
  ret

idle:
  sti
  hlt
  jmp idle

; RAX: a zeroed page frame.
frame64:
  push rdi
  push rcx
  mov edi, [next_frame]
  add dword [next_frame], 0x1000
  push rdi
  xor eax, eax
  mov ecx, 512
  rep stosq
  pop rax
  pop rcx
  pop rdi
  ret

; Process R12: page tables with the kernel's half shared, a copy of nothing but the code, which all three share.
make_process:
  imul ebx, r12d, TASK_SIZE
  add rbx, tasks
  call kernel_task
  mov rax, [process_names + r12 * 8 - 8]
  mov [rbx + T_NAME], rax
  call frame64
  mov [rbx + T_CR3], rax
  mov r8, rax
  mov eax, [kernel_cr3]
  mov rcx, [rax]
  mov [r8], rcx
  mov [r8 + 256 * 8], rcx
  call frame64
  lea rcx, [rax + 7]
  mov [r8 + 8], rcx
  mov r8, rax
  call frame64
  lea rcx, [rax + 7]
  mov [r8], rcx
  mov r8, rax
  call frame64
  lea rcx, [rax + 7]
  mov [r8], rcx
  mov r8, rax                 ; the page table
  mov rax, [code_frame]
  test rax, rax
  jnz .code
  call frame64
  mov [code_frame], rax
  mov rdi, rax
  mov rsi, user_blob
  mov ecx, user_end - USER_CODE
  rep movsb
.code:
  lea rcx, [rax + 5]
  mov [r8], rcx
  call frame64
  mov [rbx + T_DATA], rax
  mov [rax + D_OWNER], r12
  lea rcx, [rax + 7]
  mov [r8 + 8], rcx
  call frame64
  lea rcx, [rax + 7]
  mov [r8 + 16], rcx
  mov rax, [rbx + T_TOP]
  sub rax, FRAME_SIZE
  mov [rbx + T_STACK], rax
  mov rcx, [process_entries + r12 * 8 - 8]
  mov [rax + F_RIP], rcx
  mov qword [rax + F_CS], USER_CODE_SELECTOR
  mov qword [rax + F_RFLAGS], 0x202
  mov rcx, USER_STACK
  mov [rax + F_RSP], rcx
  mov qword [rax + F_SS], USER_DATA_SELECTOR
  mov [rax + F_RDI], r12
  ret

; PICs at vectors 32 and 40, timer and COM1 open; the PIT at HZ. [8259A data sheet "Initialization Command Words"]
start_timer:
  mov rsi, .table
  mov ecx, 13
.next:
  movzx edx, byte [rsi]
  mov al, [rsi + 1]
  out dx, al
  add rsi, 2
  loop .next
  ret
.table:
  db PIC1, 0x11, PIC1 + 1, 32, PIC1 + 1, 4, PIC1 + 1, 1
  db PIC2, 0x11, PIC2 + 1, 40, PIC2 + 1, 2, PIC2 + 1, 1
  db PIC1 + 1, 0xee, PIC2 + 1, 0xff
  db 0x43, 0x34, 0x40, 1193182 / HZ & 0xff, 0x40, 1193182 / HZ >> 8
