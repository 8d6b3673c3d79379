// Runs instruction sequences on the processor that this program runs on, and tells the state that each one leaves.
//
// Input: a header, the first contents of the test memory, then cases. Output: what the processor announces, then a result for each
// case. The layouts are those of ../src/wire.ts. Every sequence ends in an exception (the last one in INT3), which Linux hands
// over as a signal with the whole state; the handler then starts the next case and never returns.
// No C library: FS, GS and all other state belong to the sequences.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;
typedef long s64;

#define PAGE 4096ul
#define ALIAS 0x310000000000ul
#define ALT_STACK_SIZE (512ul << 10)

enum { SIGILL = 4, SIGTRAP = 5, SIGBUS = 7, SIGFPE = 8, SIGSEGV = 11, SIGVTALRM = 26 };
enum { SYS_read, SYS_write, SYS_mmap = 9, SYS_sigaction = 13, SYS_sigreturn = 15, SYS_setitimer = 38, SYS_exit = 60,
       SYS_ftruncate = 77, SYS_sigaltstack = 131, SYS_modify_ldt = 154, SYS_memfd_create = 319 };
enum { PROT_READ = 1, PROT_WRITE = 2, PROT_EXEC = 4, MAP_SHARED = 1, MAP_PRIVATE = 2, MAP_FIXED_NOREPLACE = 0x100000, MAP_ANONYMOUS = 0x20 };

#define MAX_REGIONS 8
struct region { u64 address; u32 pages; u32 protection; };

struct header {
  u32 magic, cases, regions, imageBytes;
  struct region region[MAX_REGIONS];
};

struct test {
  u32 mode, codeLength;
  u64 rip, rflags, fsBase, gsBase;
  u64 gpr[16];
  u32 codeOffset, patchBytes;
  u64 padding[2];
  u8 fx[512];
  u8 code[128];
} __attribute__((aligned(16)));

struct result {
  u32 vector, errorCode;
  u64 cr2, rip, rflags, fsBase, gsBase;
  u64 gpr[16];
  u16 selector[6];
  u32 changes;
  u8 fx[416];
};

static struct header header;
static struct test test __attribute__((aligned(64)));
static u8 patches[65536];
// IRETQ's frame, with a word below it for `enter`. Near the start of the program, so that bits 31:16 of its address are zeros:
// IRETQ to a 16-bit stack leaves those bits of RSP as they were.
static u64 returnArea[6] __attribute__((section(".early"))) = {1};
#define returnStack (returnArea + 1)
static u8 *code;
static u64 *live, *pristine;
static u32 imageWords, done, ticks, ticking;
static u32 hasLdt;
static u8 input[1 << 16], output[1 << 16];
static u32 inputAt, inputEnd, outputEnd;

static inline s64 syscall6(s64 n, s64 a, s64 b, s64 c, s64 d, s64 e, s64 f) {
  register s64 r10 __asm__("r10") = d;
  register s64 r8 __asm__("r8") = e;
  register s64 r9 __asm__("r9") = f;
  __asm__ volatile("syscall" : "+a"(n) : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
  return n;
}
#define syscall3(n, a, b, c) syscall6(n, (s64)(a), (s64)(b), (s64)(c), 0, 0, 0)

static void copy(void *to, const void *from, u64 n) { __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory"); }
static void fill(void *to, u8 byte, u64 n) { __asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(byte) : "memory"); }

static void __attribute__((noreturn)) leave(int status) {
  for (;;) syscall3(SYS_exit, status, 0, 0);
}

static void flush(void) {
  u32 at = 0;
  while (at < outputEnd) {
    s64 n = syscall3(SYS_write, 1, output + at, outputEnd - at);
    if (n <= 0) leave(3);
    at += n;
  }
  outputEnd = 0;
}

static void put(const void *from, u32 n) {
  if (outputEnd + n > sizeof output) flush();
  copy(output + outputEnd, from, n);
  outputEnd += n;
}

static void get(void *to, u32 n) {
  u8 *at = to;
  while (n > 0) {
    if (inputAt == inputEnd) {
      s64 got = syscall3(SYS_read, 0, input, sizeof input);
      if (got <= 0) leave(4);
      inputAt = 0;
      inputEnd = got;
    }
    u32 part = inputEnd - inputAt < n ? inputEnd - inputAt : n;
    copy(at, input + inputAt, part);
    inputAt += part;
    at += part;
    n -= part;
  }
}

static void clearCode(void) { fill(code + test.codeOffset, 0xcc, test.codeLength); }

// Loads the state of `test` and goes there.
static void __attribute__((noreturn)) enter(void) {
  u32 selector = test.mode == 64 ? 0 : 0x2b;
  u64 data = 0x2b;
  u16 stackSelector = 0x2b, codeSelector = test.mode == 64 ? 0x33 : 0x23;
  if (test.mode == 16) {
    // Descriptors 0 to 2 of the LDT: code, stack, data.
    codeSelector = 0x07;
    stackSelector = 0x0f;
    data = 0x17;
    selector = 0x17;
  }
  __asm__ volatile("mov %0, %%ds; mov %0, %%es; mov %1, %%fs; mov %1, %%gs" : : "r"((u32)data), "r"(selector));
  if (test.mode == 64) __asm__ volatile("wrfsbase %0; wrgsbase %1" : : "r"(test.fsBase), "r"(test.gsBase));
  returnStack[0] = test.rip;
  returnStack[1] = codeSelector;
  returnStack[2] = test.rflags;
  returnStack[3] = test.gpr[4];
  returnStack[4] = stackSelector;
  __asm__ volatile(
      "fxrstor64 %0\n\t"
      "mov %1, %%rsp\n\t"
      "mov 0x00(%%rax), %%rcx; push %%rcx\n\t"
      "mov 0x08(%%rax), %%rcx\n\t mov 0x10(%%rax), %%rdx\n\t mov 0x18(%%rax), %%rbx\n\t"
      "mov 0x28(%%rax), %%rbp\n\t mov 0x30(%%rax), %%rsi\n\t mov 0x38(%%rax), %%rdi\n\t"
      "mov 0x40(%%rax), %%r8\n\t mov 0x48(%%rax), %%r9\n\t mov 0x50(%%rax), %%r10\n\t mov 0x58(%%rax), %%r11\n\t"
      "mov 0x60(%%rax), %%r12\n\t mov 0x68(%%rax), %%r13\n\t mov 0x70(%%rax), %%r14\n\t mov 0x78(%%rax), %%r15\n\t"
      "pop %%rax\n\t"
      "iretq"
      :
      : "m"(test.fx), "r"(returnStack), "a"(test.gpr)
      : "memory");
  __builtin_unreachable();
}

static void __attribute__((noreturn)) next(void) {
  if (done == header.cases) {
    flush();
    leave(0);
  }
  get(&test, sizeof test);
  if (test.patchBytes > sizeof patches) leave(5);
  get(patches, test.patchBytes);
  for (u32 at = 0; at < test.patchBytes;) {
    u32 offset = *(u32 *)(patches + at), length = *(u32 *)(patches + at + 4);
    copy((u8 *)live + offset, patches + at + 8, length);
    at += 8 + ((length + 7) & ~7u);
  }
  copy(code + test.codeOffset, test.code, test.codeLength);
  ticks = 0;
  ticking = 1;
  enter();
}

static void finish(struct result *result) {
  ticking = 0;
  result->changes = 0;
  u32 headAt = outputEnd + sizeof *result + 8 * 4096 > sizeof output ? (flush(), 0) : outputEnd;
  put(result, sizeof *result);
  // Against the pristine image: the patches count as changes, on both sides.
  const u64 *was = pristine;
  u64 *now = live;
  u32 changes = 0;
  for (u32 i = 0; i < imageWords; i++) {
    if (now[i] == was[i]) continue;
    struct { u32 index, pad; u64 value; } change = {i, 0, now[i]};
    now[i] = was[i];
    if (changes == 2000) continue;
    put(&change, sizeof change);
    changes++;
  }
  ((struct result *)(output + headAt))->changes = changes;
  clearCode();
  done++;
  next();
}

// The parts of the kernel's ucontext that matter. [<asm/ucontext.h>, <asm/sigcontext.h>]
struct context {
  u64 flags, link, stack[3];
  u64 r8, r9, r10, r11, r12, r13, r14, r15, di, si, bp, bx, dx, ax, cx, sp, ip, eflags;
  u16 cs, gs, fs, ss;
  u64 err, trapno, oldmask, cr2;
  u8 *fpstate;
};

static void handler(int signal, void *info, struct context *c) {
  (void)info;
  if (signal == SIGVTALRM && (!ticking || c->ip >= 0x300000000000ul || ++ticks < 3)) return;
  static struct result result;
  u16 es, ds, fs, gs;
  __asm__ volatile("mov %%es, %0; mov %%ds, %1; mov %%fs, %2; mov %%gs, %3" : "=r"(es), "=r"(ds), "=r"(fs), "=r"(gs));
  __asm__ volatile("rdfsbase %0; rdgsbase %1" : "=r"(result.fsBase), "=r"(result.gsBase));
  __asm__ volatile("pushq $0x202; popfq" : : : "memory", "cc");
  result.vector = signal == SIGVTALRM ? 255 : c->trapno;
  result.errorCode = c->err;
  result.cr2 = c->cr2;
  result.rip = c->ip;
  result.rflags = c->eflags;
  u64 gpr[16] = {c->ax, c->cx, c->dx, c->bx, c->sp, c->bp, c->si, c->di, c->r8, c->r9, c->r10, c->r11, c->r12, c->r13, c->r14, c->r15};
  copy(result.gpr, gpr, sizeof gpr);
  u16 selector[6] = {es, c->cs, c->ss, ds, fs, gs};
  copy(result.selector, selector, sizeof selector);
  copy(result.fx, c->fpstate, sizeof result.fx);
  finish(&result);
}

static void __attribute__((naked)) restorer(void) { __asm__ volatile("mov $15, %eax; syscall"); }

static void catchSignal(int signal) {
  struct { void *handler; u64 flags; void (*restorer)(void); u64 mask; } action = {
      handler, 0x4 | 0x04000000 | 0x08000000 | 0x40000000, restorer, 0};
  if (syscall6(SYS_sigaction, signal, (s64)&action, 0, 8, 0, 0) != 0) leave(6);
}

static void cpuid(u32 leaf, u32 subleaf) {
  u32 r[4];
  __asm__ volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(subleaf));
  put(r, sizeof r);
}

static u64 map(u64 address, u64 bytes, u32 protection, u32 flags, int fd, u64 offset) {
  return syscall6(SYS_mmap, address, bytes, protection, flags, fd, offset);
}

static void describeSegment(u32 entry, u32 base, u32 limit, u32 contents, u32 is32) {
  struct { u32 entry, base, limit, flags; } d = {entry, base, limit, is32 | contents << 1 | 1 << 6};
  if (syscall3(SYS_modify_ldt, 1, &d, sizeof d) != 0) hasLdt = 0;
}

void __attribute__((noreturn)) _start(void) {
  get(&header, sizeof header);
  if (header.magic != 0x54464944 || header.regions > MAX_REGIONS) leave(7);
  u64 bytes = 0;
  for (u32 i = 0; i < header.regions; i++) bytes += header.region[i].pages * PAGE;
  int fd = syscall3(SYS_memfd_create, "difftest", 0, 0);
  if (fd < 0 || syscall3(SYS_ftruncate, fd, bytes, 0) != 0) leave(8);
  if (map(ALIAS, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0) != ALIAS) leave(9);
  u32 mapped = 0;
  for (u64 i = 0, offset = 0; i < header.regions; i++) {
    struct region *r = &header.region[i];
    if (map(r->address, r->pages * PAGE, r->protection, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, offset) == r->address) {
      mapped |= 1u << i;
      // Present from the beginning: the error code of a later page fault says so.
      for (u32 page = 0; page < r->pages; page++) *(volatile u8 *)(r->address + page * PAGE);
    }
    offset += r->pages * PAGE;
  }
  // The first region is the code.
  code = (u8 *)ALIAS;
  fill(code, 0xcc, header.region[0].pages * PAGE);
  live = (u64 *)(ALIAS + header.region[0].pages * PAGE);
  imageWords = header.imageBytes / 8;
  pristine = (u64 *)map(0, header.imageBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  get(live, header.imageBytes);
  copy(pristine, live, header.imageBytes);

  hasLdt = 1;
  describeSegment(0, header.region[0].address, 0xffff, 2, 0);
  describeSegment(1, header.region[3].address, 0xfff, 0, 0);
  describeSegment(2, header.region[1].address, 0x2fff, 0, 0);

  struct { void *sp; u32 flags, pad; u64 size; } stack = {0, 0, 0, ALT_STACK_SIZE};
  stack.sp = (void *)map(0, ALT_STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (syscall3(SYS_sigaltstack, &stack, 0, 0) != 0) leave(10);
  static const int caught[] = {SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGVTALRM};
  for (u32 i = 0; i < sizeof caught / sizeof *caught; i++) catchSignal(caught[i]);
  u64 interval[4] = {0, 20000, 0, 20000};
  if (syscall3(SYS_setitimer, 1, interval, 0) != 0) leave(11);

  put(&mapped, 4);
  put(&hasLdt, 4);
  cpuid(1, 0);
  cpuid(7, 0);
  cpuid(0xd, 1);
  cpuid(0x80000001, 0);
  cpuid(0x80000008, 0);
  next();
}
