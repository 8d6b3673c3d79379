; Texts, tables, and memory without contents in the file.

text_newline: db 13, 10, 0
text_banner: db 13, 10, 'guestmode demonstration system', 13, 10, 0
text_stage: db 13, 10, 0
text_ok: db '  ok      ', 0
text_failed: db '  FAILED  ', 0
text_unexpected: db 'unexpected exception; halted', 13, 10, 0
text_no_long: db 'this processor has no long mode; halted', 13, 10, 0
text_protected: db 'Protected mode', 0
text_pe: db 'CR0.PE is set', 0
text_ud: db 'an undefined instruction raises #UD', 0
text_de: db 'a division by zero raises #DE', 0
text_gp: db 'a stack segment of ring 3 raises #GP with its selector', 0
text_limit: db 'beyond a segment limit is #GP', 0
text_real: db 'Real mode', 0
text_paging: db '32-bit paging', 0
text_pg: db 'CR0.PG is set', 0
text_alias: db 'two addresses, one frame', 0
text_large: db 'a page of 4 MiB', 0
text_absent: db 'an absent page faults, with its address', 0
text_readonly: db 'a read-only page refuses a write, even in ring 0', 0
text_accessed: db 'accessed and dirty bits', 0
text_invlpg: db 'another frame after INVLPG', 0
text_pae: db 'PAE paging', 0
text_execute: db 'code runs in a page that allows it', 0
text_nx: db 'code does not run in a no-execute page', 0
text_cmpxchg8b: db 'a 64-bit entry is exchanged by CMPXCHG8B', 0
text_long: db 'Long mode', 0
text_lma: db 'EFER.LMA is set', 0
text_registers: db '16 registers of 64 bits', 0
text_high: db 'the upper half of the address space', 0
text_canonical: db 'an address that is not canonical is #GP', 0
text_compatibility: db 'compatibility mode and back', 0
text_wide: db '128-bit products and dividends', 0
text_sse: db 'SSE2 compares what MOVSQ copied', 0
text_processes: db 13, 10, 'Processes', 13, 10, 0
text_processes_name: db 'Processes', 0
text_spaces: db 'one address, a frame of its own for each process', 0
text_ticks: db 'the timer interrupts', 0
text_ready: db 13, 10, "Three processes run. 'help' lists the commands.", 13, 10, 0
text_prompt: db 'demo> ', 0
text_unknown: db "no such command; 'help' lists them", 13, 10, 0
text_erase: db 8, ' ', 8, 0
text_indent: db '  ', 0
text_killed: db 13, 10, 'process ', 0
text_killed_by: db 'killed by exception ', 0
text_panic: db 13, 10, 'panic: exception ', 0
text_at: db ' at ', 0
text_error_code: db ', error code ', 0
text_address: db ', address ', 0
text_ps: db 'pid name     state   page table   ticks  switches  rounds        value  wrong', 13, 10, 0
text_usable: db '  usable', 13, 10, 0
text_reserved: db '  reserved', 13, 10, 0
text_frames: db '  page frames in use: ', 0
text_switches: db ', task switches: ', 0
text_passed: db ': passed ', 0
text_not_passed: db ', failed ', 0
text_ticks_at: db ' ticks, 100 a second', 13, 10, 0
text_halt: db 'power off', 13, 10, 0
text_reboot: db 'reset', 13, 10, 0
text_crash: db 'triple fault', 13, 10, 0
text_spin: db 'spinning', 13, 10, 0
name_shell: db 'shell    ', 0
name_counter: db 'counter  ', 0
name_primes: db 'primes   ', 0
name_pi: db 'pi       ', 0
name_idle: db 'idle     ', 0
state_dead: db 'dead    ', 0
state_ready: db 'ready   ', 0
state_sleeping: db 'asleep  ', 0
state_waiting: db 'waiting ', 0
state_running: db 'running ', 0

align 8, db 0
state_names: dq state_dead, state_ready, state_sleeping, state_waiting, state_running
process_names: dq name_counter, name_primes, name_pi
process_entries: dq user_counter, user_primes, user_pi

; Name, passed, failed.
results:
.protected: dd text_protected, 0, 0
.real: dd text_real, 0, 0
.paging: dd text_paging, 0, 0
.pae: dd text_pae, 0, 0
.long: dd text_long, 0, 0
.processes: dd text_processes_name, 0, 0
results_end:

align 8, db 0
gdt:
  dq 0
  dq 0x00cf9a000000ffff       ; CODE32
  dq 0x00cf92000000ffff       ; DATA32
  dq 0x00009a000000ffff       ; CODE16
  dq 0x000092000000ffff       ; DATA16
  dq 0x00af9a000000ffff       ; CODE64
  dq 0x00cf92000000ffff       ; DATA64
  dq 0x00cffa000000ffff       ; ring 3, 32-bit code: the base that SYSRET counts from
  dq 0x00cff2000000ffff       ; ring 3 data
  dq 0x00affa000000ffff       ; ring 3, 64-bit code
gdt_tss:
  dw 103, 0
  db 0, 0x89, 0, 0
  dq 0
gdt_end:
gdtr:
  dw gdt_end - gdt - 1
  dd gdt
idtr32:
  dw 32 * 8 - 1
  dd idt32
idtr64:
  dw VECTORS * 16 - 1
  dq idt64
no_idt:
  dw 0
  dq 0
align 8, db 0
; 8, 10 to 14 and 17. [SDM3 7.13 "Error Code"]
vectors_with_error: dd 1 << 8 | 0x1f << 10 | 1 << 17, 0
next_frame: dd FRAMES
resume: dq 0
align 8, db 0
image_end:

; From here on the loader provides zeros.
bss:
boot_information equ bss
boot_magic       equ bss + 4
current_stage    equ bss + 8
last_vector      equ bss + 12
last_error       equ bss + 16
last_address     equ bss + 24
exception_frame  equ bss + 32
protected_stack  equ bss + 36
kernel_cr3       equ bss + 40
user_stack       equ bss + 48
code_frame       equ bss + 56
ticks            equ bss + 64
switches         equ bss + 72
current          equ bss + 80
scratch          equ bss + 96
ring_head        equ bss + 112
ring_tail        equ bss + 113
number           equ bss + 128
number_end       equ number + 31
line             equ bss + 160
tss              equ bss + 232
tasks            equ bss + 384
ring             equ bss + 1024
idt32            equ bss + 1280
idt64            equ idt32
stack            equ bss + 2304
stack_top        equ stack + 8192
bss_end          equ stack_top
