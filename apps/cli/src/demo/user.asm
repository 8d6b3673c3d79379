; The three processes. They run at USER_CODE in ring 3; RDI is the process's number.

user_blob:
org USER_CODE

; Counts.
user_counter:
  mov r12, rdi
  mov rbx, USER_DATA
.round:
  mov ecx, 20000
.count:
  inc qword [rbx + D_VALUE]
  loop .count
  call user_rest
  jmp .round

; Finds primes by trial division.
user_primes:
  mov r12, rdi
  mov rbx, USER_DATA
  mov esi, 2
.round:
  mov edi, 50
.candidate:
  mov ecx, 2
.divide:
  mov eax, ecx
  mul ecx
  cmp eax, esi
  ja .prime
  mov eax, esi
  xor edx, edx
  div ecx
  test edx, edx
  jz .composite
  inc ecx
  jmp .divide
.prime:
  mov [rbx + D_VALUE], rsi
.composite:
  inc esi
  dec edi
  jnz .candidate
  call user_rest
  jmp .round

; Nilakantha's series for pi, in SSE2; the value is pi times 10^9. Wrong digits would tell of registers lost in a task switch.
user_pi:
  mov r12, rdi
  mov rbx, USER_DATA
.again:
  movsd xmm0, [rel .three]
  movsd xmm1, [rel .two]
  movsd xmm3, [rel .four]
  mov ebp, 200
.round:
  mov ecx, 10
.term:
  movapd xmm2, xmm1
  addsd xmm1, [rel .one]
  mulsd xmm2, xmm1
  addsd xmm1, [rel .one]
  mulsd xmm2, xmm1
  movapd xmm4, xmm3
  divsd xmm4, xmm2
  addsd xmm0, xmm4
  xorpd xmm3, [rel .sign]
  loop .term
  movsd xmm5, xmm0
  mulsd xmm5, [rel .scale]
  cvtsd2si rax, xmm5
  mov [rbx + D_VALUE], rax
  push rbp
  call user_rest
  pop rbp
  dec ebp
  jnz .round
  mov rax, [rbx + D_VALUE]
  mov ecx, 3141592653
  sub rax, rcx
  add rax, 2
  cmp rax, 4
  jbe .again
  inc qword [rbx + D_WRONG]
  jmp .again
align 16
.sign: dq 0x8000000000000000, 0
.one: dq 1.0
.two: dq 2.0
.three: dq 3.0
.four: dq 4.0
.scale: dq 1000000000.0

; Ends a round: the data page must still be this process's own.
user_rest:
  inc qword [rbx + D_ROUNDS]
  cmp [rbx + D_OWNER], r12
  je .sleep
  inc qword [rbx + D_WRONG]
.sleep:
  push rsi
  push rdi
  mov eax, SYS_SLEEP
  mov edi, 1
  syscall
  pop rdi
  pop rsi
  ret
user_end:
org user_blob + (user_end - USER_CODE)
