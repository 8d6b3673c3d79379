; 32-bit paging and PAE. Both map memory onto itself, and a window at 3 GiB for the checks:
; page 0 writable, page 1 the same frame read-only, page 2 absent. [SDM3 5.3 "32-Bit Paging"], [SDM3 5.4 "PAE Paging"]

paging_stage:
  mov esi, text_paging
  mov edi, results.paging
  call stage
  call frame
  mov ebx, eax                ; page directory
  call frame
  mov edx, eax                ; table of the first 4 MiB, in pages of 4 KiB
  or eax, 3
  mov [ebx], eax
  mov edi, edx
  mov eax, 3
  mov ecx, 1024
.identity:
  stosd
  add eax, 0x1000
  loop .identity
  mov dword [ebx + 4], 0x00400083  ; one page of 4 MiB
  call frame
  mov edx, eax
  or eax, 3
  mov [ebx + (ALIAS32 >> 20)], eax
  call frame
  mov ebp, eax                ; the frame behind the window
  or eax, 3
  mov [edx], eax
  and al, 0xfd
  mov [edx + 4], eax
  mov eax, cr4
  or al, 0x10                 ; PSE
  mov cr4, eax
  mov cr3, ebx
  mov eax, cr0
  or eax, 0x80010000          ; PG, WP
  mov cr0, eax
  jmp .paged
.paged:
  mov eax, cr0
  not eax
  test eax, 0x80000000
  mov esi, text_pg
  call check

  mov dword [ALIAS32 + 0x10], 0xcafe1234
  cmp dword [ebp + 0x10], 0xcafe1234
  mov esi, text_alias
  call check

  mov dword [0x7ffff0], 0x600dda7a
  cmp dword [0x7ffff0], 0x600dda7a
  mov esi, text_large
  call check

  mov dword [resume], .absent
  mov eax, [ALIAS32 + 0x2abc]
.absent:
  mov eax, ALIAS32 + 0x2abc
  xor ecx, ecx
  call page_fault_was
  mov esi, text_absent
  call check

  mov dword [resume], .protected
  mov [ALIAS32 + 0x1010], eax
.protected:
  mov eax, ALIAS32 + 0x1010
  mov ecx, 3
  call page_fault_was
  mov esi, text_readonly
  call check

  mov eax, [ALIAS32 + 0x1010]
  mov eax, [edx]
  and eax, 0x60
  mov ecx, [edx + 4]
  and ecx, 0x60
  shl eax, 8
  or eax, ecx
  cmp eax, 0x6020             ; written: accessed and dirty; read: accessed
  mov esi, text_accessed
  call check

  ; Another frame behind the same page, after INVLPG.
  call frame
  mov dword [eax], 0x5eed
  or al, 3
  mov [edx], eax
  invlpg [ALIAS32]
  cmp dword [ALIAS32], 0x5eed
  mov esi, text_invlpg
  call check
  jmp paging_off

paging_off:
  mov eax, cr0
  and eax, 0x7fffffff
  mov cr0, eax
  xor eax, eax
  mov cr3, eax
  ret

; ZF: the last exception was a page fault at EAX with error code ECX.
page_fault_was:
  cmp dword [last_vector], 14
  jne .done
  cmp [last_address], eax
  jne .done
  cmp [last_error], ecx
.done:
  ret

pae_stage:
  mov esi, text_pae
  mov edi, results.pae
  call stage
  call frame
  mov ebx, eax                ; page-directory-pointer table
  call frame
  mov edi, eax                ; directory of the first GiB, in pages of 2 MiB
  or al, 1
  mov [ebx], eax
  mov eax, 0x83
  mov ecx, 512
.identity:
  mov [edi], eax
  add edi, 8
  add eax, 0x200000
  loop .identity
  call frame
  mov edi, eax
  or al, 1
  mov [ebx + 24], eax
  call frame
  mov edx, eax
  or al, 3
  mov [edi], eax
  call frame
  mov ebp, eax
  mov byte [ebp], 0xc3        ; RET
  or al, 3
  mov [edx], eax
  and al, 0xfd
  mov [edx + 8], eax
  mov [edx + 24], eax
  call no_execute
  mov [edx + 28], ecx         ; page 3: no execution
  mov eax, cr4
  or al, 0x20                 ; PAE
  mov cr4, eax
  mov cr3, ebx
  mov eax, cr0
  or eax, 0x80010000
  mov cr0, eax
  jmp .paged
.paged:
  mov dword [ALIAS32 + 0x20], 0xfeedbeef
  cmp dword [ebp + 0x20], 0xfeedbeef
  mov esi, text_alias
  call check
  mov dword [resume], .protected
  mov [ALIAS32 + 0x1020], eax
.protected:
  mov eax, ALIAS32 + 0x1020
  mov ecx, 3
  call page_fault_was
  mov esi, text_readonly
  call check
  mov eax, ALIAS32 + 0x1000
  call eax
  cmp byte [eax], 0xc3
  mov esi, text_execute
  call check
  cmp dword [edx + 28], 0
  je .without_nx
  mov eax, ALIAS32 + 0x3000
  mov [protected_stack], esp
  mov dword [resume], .not_executed
  call eax
.not_executed:
  mov esp, [protected_stack]
  mov ecx, 0x11               ; a fetch from a present page
  call page_fault_was
  mov esi, text_nx
  call check
.without_nx:
  ; 64-bit entries are exchanged whole.
  mov esi, edx
  mov eax, [esi + 8]
  mov edx, [esi + 12]
  mov ebx, eax
  or bl, 2
  mov ecx, edx
  lock cmpxchg8b [esi + 8]
  jnz .exchanged
  invlpg [ALIAS32 + 0x1000]
  mov dword [ALIAS32 + 0x1024], 0x1ce
  cmp dword [ebp + 0x24], 0x1ce
.exchanged:
  mov esi, text_cmpxchg8b
  call check
  jmp paging_off

; ECX: the upper half of a PAE entry that forbids execution, 0 where the processor has no NX; turns EFER.NXE on.
no_execute:
  push eax
  push ebx
  push edx
  mov eax, 0x80000001
  cpuid
  xor ecx, ecx
  bt edx, 20
  jnc .done
  mov ecx, 0xc0000080
  rdmsr
  or ah, 8
  wrmsr
  mov ecx, 0x80000000
.done:
  pop edx
  pop ebx
  pop eax
  ret
