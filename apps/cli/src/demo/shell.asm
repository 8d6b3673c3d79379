; The prompt.

shell:
  mov rsi, text_ready
  call puts64
  call prefill
.prompt:
  mov rsi, text_prompt
  call puts64
  call read_line
  cmp byte [line], 0
  je .prompt
  mov rbx, commands
.search:
  mov rdi, [rbx]
  test rdi, rdi
  jz .unknown
  mov rsi, line
.compare:
  mov al, [rsi]
  cmp al, [rdi]
  jne .next
  inc rsi
  inc rdi
  test al, al
  jnz .compare
  call [rbx + 8]
  jmp .prompt
.next:
  add rbx, 24
  jmp .search
.unknown:
  mov rsi, text_unknown
  call puts64
  jmp .prompt

; Words after `run:` on the boot loader's command line are typed first; a semicolon ends a command.
prefill:
  cmp dword [boot_magic], 0x2badb002
  jne .done
  mov ebx, [boot_information]
  test dword [rbx], 4
  jz .done
  mov esi, [rbx + 16]
.find:
  mov eax, [rsi]
  test al, al
  jz .done
  inc rsi
  cmp eax, 'run:'
  jne .find
  add rsi, 3
.copy:
  lodsb
  test al, al
  jz .end
  cmp al, ';'
  jne .put
  mov al, 13
.put:
  call .ring
  jmp .copy
.end:
  mov al, 13
.ring:
  movzx ecx, byte [ring_head]
  mov [ring + rcx], al
  inc byte [ring_head]
.done:
  ret

; AL: the next character; sleeps until there is one.
get_character:
  cli
  movzx ecx, byte [ring_tail]
  cmp cl, [ring_head]
  jne .have
  mov qword [tasks + T_STATE], WAITING
  int YIELD
  jmp get_character
.have:
  mov al, [ring + rcx]
  inc byte [ring_tail]
  sti
  ret

read_line:
  xor ebx, ebx
.next:
  call get_character
  cmp al, 13
  je .end
  cmp al, 10
  je .end
  cmp al, 8
  je .erase
  cmp al, 127
  je .erase
  cmp al, ' '
  jb .next
  cmp ebx, LINE - 1
  jae .next
  mov [line + rbx], al
  inc ebx
  call putc64
  jmp .next
.erase:
  test ebx, ebx
  jz .next
  dec ebx
  mov rsi, text_erase
  call puts64
  jmp .next
.end:
  test ebx, ebx
  jz .terminate
  cmp byte [line + rbx - 1], ' '
  jne .terminate
  dec ebx
  jmp .end
.terminate:
  mov byte [line + rbx], 0
  jmp newline

command_help:
  mov rbx, commands
.next:
  mov rdi, [rbx]
  test rdi, rdi
  jz .done
  mov rsi, text_indent
  call puts64
  mov rsi, rdi
  call puts64
.pad:
  cmp byte [rdi], 0
  je .about
  inc rdi
  jmp .pad
.about:
  sub rdi, [rbx]
  mov ecx, 10
  sub ecx, edi
.space:
  mov al, ' '
  call putc64
  loop .space
  mov rsi, [rbx + 16]
  call puts64
  call newline
  add rbx, 24
  jmp .next
.done:
  ret

command_ps:
  mov rsi, text_ps
  call puts64
  mov rbx, tasks
  xor r12d, r12d
.next:
  mov eax, r12d
  mov ecx, 2
  call put_decimal
  mov rsi, text_indent
  call puts64
  mov rsi, [rbx + T_NAME]
  call puts64
  mov rax, [rbx + T_STATE]
  cmp rbx, [current]
  jne .state
  mov eax, 4
.state:
  mov rsi, [state_names + rax * 8]
  call puts64
  mov rax, [rbx + T_CR3]
  mov ecx, 8
  call put_hex
  mov rax, [rbx + T_TICKS]
  mov ecx, 8
  call put_decimal
  mov rax, [rbx + T_SWITCHES]
  mov ecx, 10
  call put_decimal
  mov rdx, [rbx + T_DATA]
  test rdx, rdx
  jz .line
  mov rax, [rdx + D_ROUNDS]
  mov ecx, 8
  call put_decimal
  mov rax, [rdx + D_VALUE]
  mov ecx, 13
  call put_decimal
  mov rax, [rdx + D_WRONG]
  mov ecx, 7
  call put_decimal
.line:
  call newline
  add rbx, TASK_SIZE
  inc r12d
  cmp r12d, TASKS
  jb .next
  ret

command_mem:
  mov ebx, [boot_information]
  test dword [rbx], 0x40
  jz .frames
  mov esi, [rbx + 48]
  mov edi, [rbx + 44]
  add rdi, rsi
.entry:
  cmp rsi, rdi
  jae .frames
  push rsi
  mov rbx, rsi
  mov rsi, text_indent
  call puts64
  mov rax, [rbx + 4]
  mov ecx, 12
  call put_hex
  mov al, '-'
  call putc64
  mov rax, [rbx + 4]
  add rax, [rbx + 12]
  dec rax
  mov ecx, 12
  call put_hex
  mov rsi, text_usable
  cmp dword [rbx + 20], 1
  je .kind
  mov rsi, text_reserved
.kind:
  call puts64
  pop rsi
  mov eax, [rbx]
  lea rsi, [rsi + rax + 4]
  jmp .entry
.frames:
  mov rsi, text_frames
  call puts64
  mov eax, [next_frame]
  sub eax, FRAMES
  shr eax, 12
  mov ecx, 1
  call put_decimal
  mov rsi, text_switches
  call puts64
  mov rax, [switches]
  call put_decimal
  jmp newline

command_modes:
  mov rbx, results
.next:
  mov rsi, text_indent
  call puts64
  mov esi, [rbx]
  call puts64
  mov rsi, text_passed
  call puts64
  mov eax, [rbx + 4]
  mov ecx, 1
  call put_decimal
  mov rsi, text_not_passed
  call puts64
  mov eax, [rbx + 8]
  call put_decimal
  call newline
  add rbx, 12
  cmp rbx, results_end
  jb .next
  ret

command_uptime:
  mov rax, [ticks]
  mov ecx, 1
  call put_decimal
  mov rsi, text_ticks_at
  jmp puts64

; A process that jumps into the kernel, to see it killed.
command_fault:
  mov rbx, tasks + TASK_SIZE
  cmp qword [rbx + T_STATE], DEAD
  je .dead
  mov rax, [rbx + T_TOP]
  sub rax, FRAME_SIZE
  cli
  mov [rbx + T_STACK], rax
  mov qword [rax + F_RIP], IMAGE
  mov qword [rax + F_CS], USER_CODE_SELECTOR
  mov qword [rax + F_RFLAGS], 0x202
  mov qword [rax + F_SS], USER_DATA_SELECTOR
  mov qword [rbx + T_STATE], READY
  sti
  hlt
  hlt
.dead:
  ret

command_halt:
  mov rsi, text_halt
  call puts64
  mov dx, PM1A_CONTROL
  mov ax, 0x2000              ; SLP_EN, SLP_TYP 0: soft off
  out dx, ax
  ; A machine without this port goes on, and gets a second to be one with it.
  mov ebx, HZ
.wait:
  hlt
  dec ebx
  jnz .wait
  xor eax, eax
  out DEBUG_EXIT, al
stopped:
  cli
  hlt
  jmp stopped

command_reboot:
  mov rsi, text_reboot
  call puts64
  cli
  mov ecx, 0x10000
.ready:
  in al, 0x64
  test al, 2
  loopnz .ready
  mov al, 0xfe
  out 0x64, al
  mov ecx, 0x1000000
.wait:
  loop .wait
; No interrupt table: any exception becomes a triple fault.
command_crash:
  mov rsi, text_crash
  call puts64
  cli
  lidt [no_idt]
  int3
  jmp stopped

command_spin:
  mov rsi, text_spin
  call puts64
  cli
.forever:
  jmp .forever

command_undefined:
  ud2

LINE equ 64
align 8, db 0
commands:
  dq word_help, command_help, about_help
  dq word_ps, command_ps, about_ps
  dq word_mem, command_mem, about_mem
  dq word_modes, command_modes, about_modes
  dq word_uptime, command_uptime, about_uptime
  dq word_fault, command_fault, about_fault
  dq word_halt, command_halt, about_halt
  dq word_reboot, command_reboot, about_reboot
  dq word_crash, command_crash, about_crash
  dq word_spin, command_spin, about_spin
  dq word_undefined, command_undefined, about_undefined
  dq 0
word_help: db 'help', 0
word_ps: db 'ps', 0
word_mem: db 'mem', 0
word_modes: db 'modes', 0
word_uptime: db 'uptime', 0
word_fault: db 'fault', 0
word_halt: db 'halt', 0
word_reboot: db 'reboot', 0
word_crash: db 'crash', 0
word_spin: db 'spin', 0
word_undefined: db 'undefined', 0
about_help: db 'this list', 0
about_ps: db 'the tasks, their page tables and what they have found', 0
about_mem: db 'the memory map', 0
about_modes: db 'what the checks of each mode said', 0
about_uptime: db 'ticks of the timer', 0
about_fault: db 'makes process 1 jump into the kernel; it is killed', 0
about_halt: db 'powers off', 0
about_reboot: db 'resets the machine', 0
about_crash: db 'a triple fault', 0
about_spin: db 'spins with interrupts off', 0
about_undefined: db 'executes an undefined instruction in ring 0', 0
