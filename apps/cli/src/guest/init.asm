; The first program of the default guest: mounts the kernel's file systems, gives a shell the console, reaps, and reboots when the shell ends.
; Nushell cannot be the first process: it wants /proc. [init/main.c of Linux starts /init with HOME, TERM and the command line's unknown words]
bits 64
default rel

SYS_open    equ 2
SYS_ioctl   equ 16
SYS_dup2    equ 33
SYS_fork    equ 57
SYS_execve  equ 59
SYS_exit    equ 60
SYS_wait4   equ 61
SYS_chdir   equ 80
SYS_mkdir   equ 83
SYS_setsid  equ 112
SYS_sync    equ 162
SYS_mount   equ 165
SYS_reboot  equ 169
SYS_write   equ 1

O_RDWR      equ 2
TIOCSCTTY   equ 0x540e
TIOCGWINSZ  equ 0x5413
TIOCSWINSZ  equ 0x5414

LINUX_REBOOT_MAGIC1      equ 0xfee1dead
LINUX_REBOOT_MAGIC2      equ 672274793
LINUX_REBOOT_CMD_RESTART equ 0x01234567

start:
  mov r14, [rsp]          ; argc
  lea r15, [rsp + 8]      ; argv

  lea rbx, [mounts]
.mount:
  mov rdi, [rbx]          ; directory
  test rdi, rdi
  jz .mounted
  mov esi, 0o755
  mov eax, SYS_mkdir
  syscall
  mov rdi, [rbx + 8]      ; source, and the type's name too
  mov rsi, [rbx]
  mov rdx, rdi
  xor r10d, r10d
  xor r8d, r8d
  mov eax, SYS_mount
  syscall
  add rbx, 16
  jmp .mount

.mounted:
  call console
  lea rdi, [home]
  mov eax, SYS_chdir
  syscall
  mov eax, SYS_fork
  syscall
  test eax, eax
  jz shell
  js finish
  mov ebp, eax

reap:
  mov edi, -1
  xor esi, esi
  xor edx, edx
  xor r10d, r10d
  mov eax, SYS_wait4
  syscall
  test eax, eax
  js finish
  cmp eax, ebp
  jne reap

finish:
  mov eax, SYS_sync
  syscall
  mov edi, LINUX_REBOOT_MAGIC1
  mov esi, LINUX_REBOOT_MAGIC2
  mov edx, LINUX_REBOOT_CMD_RESTART
  xor r10d, r10d
  mov eax, SYS_reboot
  syscall
.wait:
  jmp .wait

; The shell's process: a session of its own with the console as its terminal, so that Ctrl-C reaches what runs in it.
shell:
  mov eax, SYS_setsid
  syscall
  call console
  xor edi, edi
  mov esi, TIOCSCTTY
  xor edx, edx
  mov eax, SYS_ioctl
  syscall
  ; A serial console has no size of its own.
  xor edi, edi
  mov esi, TIOCGWINSZ
  lea rdx, [window]
  mov eax, SYS_ioctl
  syscall
  cmp word [window], 0
  jne .sized
  mov dword [window], 24 | 80 << 16
  xor edi, edi
  mov esi, TIOCSWINSZ
  lea rdx, [window]
  mov eax, SYS_ioctl
  syscall
.sized:
  ; Words after `--` on the kernel's command line are the shell's arguments; without any it is interactive.
  lea rsi, [interactive]
  cmp r14, 1
  jbe .exec
  mov rsi, r15
  lea rax, [program]
  mov [rsi], rax
.exec:
  lea rdi, [program]
  lea rdx, [environment]
  mov eax, SYS_execve
  syscall

give_up:
  mov edi, 2
  lea rsi, [failed]
  mov edx, failed_length
  mov eax, SYS_write
  syscall
  mov edi, 1
  mov eax, SYS_exit
  syscall

console:
  lea rdi, [console_name]
  mov esi, O_RDWR
  xor edx, edx
  mov eax, SYS_open
  syscall
  test eax, eax
  js .done
  mov r12d, eax
  xor ebx, ebx
.next:
  mov edi, r12d
  mov esi, ebx
  mov eax, SYS_dup2
  syscall
  inc ebx
  cmp ebx, 3
  jb .next
.done:
  ret

align 8, db 0
mounts:
  dq proc_directory, proc
  dq sys_directory, sysfs
  dq dev_directory, devtmpfs
  dq pts_directory, devpts
  dq tmp_directory, tmpfs
  dq 0
interactive:
  dq program, no_config, no_history, execute, setup, 0
environment:
  dq env_home, env_path, env_term, env_lang, env_shell, 0

proc_directory: db '/proc', 0
sys_directory: db '/sys', 0
dev_directory: db '/dev', 0
pts_directory: db '/dev/pts', 0
tmp_directory: db '/tmp', 0
proc: db 'proc', 0
sysfs: db 'sysfs', 0
devtmpfs: db 'devtmpfs', 0
devpts: db 'devpts', 0
tmpfs: db 'tmpfs', 0
console_name: db '/dev/console', 0
home: db '/', 0
program: db '/bin/nu', 0
no_config: db '--no-config-file', 0
no_history: db '--no-history', 0
execute: db '--execute', 0
setup: db '$env.config.show_banner = false', 0
env_home: db 'HOME=/', 0
env_path: db 'PATH=/bin', 0
env_term: db 'TERM=xterm-256color', 0
env_lang: db 'LANG=C.UTF-8', 0
env_shell: db 'SHELL=/bin/nu', 0
failed: db 'init: the shell cannot be started', 10
failed_length equ $ - failed
align 8, db 0
window: dq 0
