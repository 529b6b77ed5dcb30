/*
 * W1 and W2, against the compiler's own unwinder: on every kind of stack, whole and broken.
 */
#include "dice.h"
#include "unit.h"

#include "frame_chain.h"
#include "os.h"
#include "stack.h"
#include "walk.h"

#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <unwind.h>

/* The address sanitizer takes reads between a frame's variables for errors, though there is memory. */
#if defined(__SANITIZE_ADDRESS__)
enum { READS_ANYWHERE = 0 };
#else
enum { READS_ANYWHERE = 1 };
#endif

enum { THREADS = 4, STACK_SIZE = 256 * 1024 };

static __thread uintptr_t theirs[TP_STACK_FRAMES + 1], ours[TP_STACK_FRAMES];
static __thread unsigned their_count, our_count;

static _Unwind_Reason_Code add_frame(struct _Unwind_Context *context, void *argument)
{
    (void)argument;
    uintptr_t pc = _Unwind_GetIP(context);
    if (their_count <= TP_STACK_FRAMES && pc != 0)
        theirs[their_count++] = pc;
    return _URC_NO_REASON;
}

/* As an entry point of the malloc family is called.  Their first frame is this one. */
static __attribute__((noinline)) void leaf(void)
{
    their_count = 0;
    _Unwind_Backtrace(add_frame, NULL);
    struct tp_call call = {(uintptr_t)__builtin_return_address(0), (uintptr_t)__builtin_dwarf_cfa()};
    our_count = tp_stack_capture(&call, ours, TP_STACK_FRAMES);
}

/* The interrupted pc is theirs as it was, and ours one behind it. */
static void compare_over_signal(unsigned interrupted)
{
    ck_assert_uint_ge(their_count, 5);
    unsigned count = their_count - 1 < TP_STACK_FRAMES ? their_count - 1 : TP_STACK_FRAMES;
    for (unsigned i = 0; i < our_count && i < count; i++)
        ck_assert_msg(ours[i] == theirs[i + 1] + (i == interrupted), "frame %u of %u", i, count);
    ck_assert_uint_eq(our_count, count);
}

static void compare(void)
{
    compare_over_signal(TP_STACK_FRAMES);
}

static void compare_shapes(void)
{
    for (int shape = 0; shape < CHAIN_SHAPES; shape++) {
        chain_with_fp(shape, leaf);
        compare();
        chain_without_fp(shape, leaf);
        compare();
    }
}

START_TEST(every_shape_is_walked_to_its_end)
{
    for (int i = 0; i < 3; i++) {
        compare_shapes();
        if (i == 1)
            tp_walk_forget_rules();
    }
}
END_TEST

static __attribute__((noinline)) void recurse(int depth)
{
    if (depth == 0)
        leaf();
    else
        recurse(depth - 1);
    __asm__ volatile("" ::: "memory");
}

START_TEST(a_deep_chain_is_cut)
{
    recurse(200);
    ck_assert_uint_eq(our_count, TP_STACK_FRAMES);
    compare();
    struct tp_call call = {(uintptr_t)__builtin_return_address(0), (uintptr_t)__builtin_dwarf_cfa()};
    ck_assert_uint_eq(tp_stack_capture(&call, ours, 0), 0);
    ck_assert_uint_eq(tp_stack_capture(&call, ours, 1), 1);
    ck_assert_uint_eq(ours[0], call.pc);
}
END_TEST

static void *in_thread(void *argument)
{
    for (int i = 0; i < 200; i++)
        compare_shapes();
    return argument;
}

/* While others make them forget. */
START_TEST(threads_share_the_rules)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, in_thread, NULL), 0);
    for (int i = 0; i < 500; i++)
        tp_walk_forget_rules();
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}
END_TEST

START_TEST(a_kept_rule_is_the_rule)
{
    const char *const names[] = {"qsort", "printf", "fopen", "getaddrinfo", "regcomp", "glob", "strtod", "wordexp"};
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
            uintptr_t function = (uintptr_t)dlsym(RTLD_DEFAULT, names[i]);
            ck_assert_uint_ne(function, 0);
            for (uintptr_t pc = function + 1; pc < function + 4000; pc++) {
                struct tp_frame_rule kept = tp_walk_rule_at(pc), fresh = tp_frame_rule_at(pc);
                ck_assert_mem_eq(&kept, &fresh, sizeof(kept));
            }
        }
}
END_TEST

/* --- signals and other stacks --------------------------------------------------------------------------------- */

static volatile unsigned interrupted_frame;

/* Frames of a handler: this one and the kernel's, then what was interrupted. */
static __attribute__((noinline)) void handle(int signal)
{
    (void)signal;
    leaf();
    interrupted_frame = 2;
    __asm__ volatile("" ::: "memory");
}

static void raise_signal(void)
{
    raise(SIGUSR1);
    __asm__ volatile("" ::: "memory");
}

static void install(int signal, void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    ck_assert_int_eq(sigaction(signal, &action, NULL), 0);
}

START_TEST(a_signal_s_chain_goes_on_with_what_it_interrupted)
{
    static char room[STACK_SIZE];
    stack_t other = {.ss_sp = room, .ss_size = sizeof(room)};
    ck_assert_int_eq(sigaltstack(&other, NULL), 0);
    for (int flags = 0; flags <= SA_ONSTACK; flags += SA_ONSTACK) {
        install(SIGUSR1, handle, flags);
        chain_with_fp(1, raise_signal);
        compare_over_signal(interrupted_frame);
        chain_without_fp(3, raise_signal);
        compare_over_signal(interrupted_frame);
    }
}
END_TEST

/* The context of a fault: of a read, and of a call of what is no code. */
static uintptr_t fault_frames[TP_STACK_FRAMES];
static volatile unsigned fault_count;
static uintptr_t fault_pc;
static sigjmp_buf fault_return;

static void handle_fault(int signal, siginfo_t *info, void *argument)
{
    (void)signal, (void)info;
    const ucontext_t *context = argument;
#if defined(__x86_64__)
    const greg_t *regs = context->uc_mcontext.gregs;
    fault_pc = (uintptr_t)regs[REG_RIP];
    fault_count = tp_stack_capture_at(fault_pc, (uintptr_t)regs[REG_RSP], (uintptr_t)regs[REG_RBP], fault_frames,
                                      TP_STACK_FRAMES);
#else
    fault_pc = context->uc_mcontext.pc;
    fault_count = tp_stack_capture_at(fault_pc, context->uc_mcontext.sp, context->uc_mcontext.regs[29], fault_frames,
                                      TP_STACK_FRAMES);
#endif
    siglongjmp(fault_return, 1);
}

static volatile uintptr_t nowhere = 64;

static __attribute__((noinline)) void read_nowhere(void)
{
    leaf();
    *(volatile char *)nowhere = *(volatile char *)nowhere;
    __asm__ volatile("" ::: "memory");
}

static __attribute__((noinline)) void call_nowhere(void)
{
    leaf();
    ((void (*)(void))nowhere)();
    __asm__ volatile("" ::: "memory");
}

/* What leaf() saw from the same function, but for the place in it. */
static void compare_fault(unsigned first, uintptr_t pc)
{
    ck_assert_uint_eq(fault_count, our_count + first);
    ck_assert_uint_eq(fault_frames[0], fault_pc);
    ck_assert_uint_lt(fault_frames[first] - pc, 200);
    ck_assert_mem_eq(fault_frames + first + 1, ours + 1, (our_count - 1) * sizeof(ours[0]));
}

START_TEST(a_fault_s_chain_begins_where_it_happened)
{
    struct sigaction action = {.sa_sigaction = handle_fault, .sa_flags = SA_SIGINFO};
    ck_assert_int_eq(sigaction(SIGSEGV, &action, NULL), 0);
    if (sigsetjmp(fault_return, 1) == 0)
        chain_with_fp(1, read_nowhere);
    compare_fault(0, (uintptr_t)read_nowhere);
    if (sigsetjmp(fault_return, 1) == 0)
        chain_without_fp(0, call_nowhere);
    ck_assert_uint_eq(fault_pc, nowhere);
    compare_fault(1, (uintptr_t)call_nowhere);
}
END_TEST

static ucontext_t outside, inside;

static void run_inside(void)
{
    compare_shapes();
    swapcontext(&inside, &outside);
    compare_shapes();
}

START_TEST(a_coroutine_s_chain_ends_in_it)
{
    for (int i = 0; i < 3; i++) {
        char *room = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        getcontext(&inside);
        inside.uc_stack.ss_sp = room;
        inside.uc_stack.ss_size = STACK_SIZE;
        inside.uc_link = &outside;
        makecontext(&inside, run_inside, 0);
        swapcontext(&outside, &inside);
        compare_shapes();
        swapcontext(&outside, &inside);
        munmap(room, STACK_SIZE);
    }
}
END_TEST

static void run_interrupted(void)
{
    chain_with_fp(1, raise_signal);
    compare_over_signal(interrupted_frame);
}

/* The handler runs on a piece of the thread's own stack, which lies above the coroutine's. */
START_TEST(a_handler_s_chain_goes_on_with_another_stack)
{
    char room[STACK_SIZE];
    stack_t other = {.ss_sp = room, .ss_size = sizeof(room)};
    ck_assert_int_eq(sigaltstack(&other, NULL), 0);
    install(SIGUSR1, handle, SA_ONSTACK);
    getcontext(&inside);
    inside.uc_stack.ss_sp = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    inside.uc_stack.ss_size = STACK_SIZE;
    inside.uc_link = &outside;
    makecontext(&inside, run_interrupted, 0);
    leaf(); /* the thread's stack is known */
    for (char *page = room + sizeof(room) - 1; page > room; page -= TP_OS_PAGE)
        *(volatile char *)page = 0;
    swapcontext(&outside, &inside);
}
END_TEST

/* --- what is broken ------------------------------------------------------------------------------------------- */

#if defined(__x86_64__)
/* push rbp; mov rbp, rsp; call rdi; pop rbp; ret.  And without a frame: call rdi below what looks like nothing. */
static const unsigned char code_with_fp[] = {0x55, 0x48, 0x89, 0xe5, 0xff, 0xd7, 0x5d, 0xc3};
static const unsigned char code_without[] = {0x48, 0x83, 0xec, 0x08, 0xff, 0xd7, 0x48, 0x83, 0xc4, 0x08, 0xc3};
/* push rbp; push 0x1234; push 0x5678; mov rbp, rsp; call rdi; add rsp, 16; pop rbp; ret: a frame that is none. */
static const unsigned char code_misleading[] = {0x55, 0x68, 0x34, 0x12, 0,    0,    0x68, 0x78, 0x56, 0,    0,
                                                0x48, 0x89, 0xe5, 0xff, 0xd7, 0x48, 0x83, 0xc4, 0x10, 0x5d, 0xc3};
#else
static const unsigned char code_with_fp[1], code_without[1], code_misleading[1];
#endif

typedef void (*generated)(void (*)(void));

static generated generate(const unsigned char *code, size_t size)
{
    char *page = mmap(NULL, TP_OS_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(page, code, size);
    ck_assert_int_eq(mprotect(page, TP_OS_PAGE, PROT_READ | PROT_EXEC), 0);
    return (generated)(uintptr_t)page;
}

static __attribute__((noinline, optimize("no-omit-frame-pointer"))) void run_generated(generated code)
{
    code(leaf);
    __asm__ volatile("" ::: "memory");
}

START_TEST(generated_code_is_left_by_its_frame_pointer)
{
    if (sizeof(code_with_fp) == 1)
        return;
    run_generated(generate(code_with_fp, sizeof(code_with_fp)));
    ck_assert_uint_ge(our_count, 4);
    ck_assert_uint_lt(ours[1] - (uintptr_t)run_generated, 100);
}
END_TEST

/* The frame pointer is the caller's: what it leads to is a caller, though one is left out. */
START_TEST(generated_code_without_frames_ends_the_chain_or_leaves_one_out)
{
    if (sizeof(code_with_fp) == 1)
        return;
    run_generated(generate(code_without, sizeof(code_without)));
    ck_assert_uint_ge(our_count, 1);
    for (unsigned i = 1; i < our_count; i++)
        ck_assert_int_ne(tp_frame_rule_at(ours[i]).base, TP_FRAME_UNKNOWN);
}
END_TEST

START_TEST(generated_code_that_uses_the_register_otherwise_ends_the_chain)
{
    if (sizeof(code_with_fp) == 1)
        return;
    run_generated(generate(code_misleading, sizeof(code_misleading)));
    ck_assert_uint_eq(our_count, 1);
}
END_TEST

/* Half of them plausible: near the stack, near its end, in the code. */
static uintptr_t roll_address(struct dice *dice, uintptr_t near, uintptr_t size)
{
    switch (dice_below(dice, 8)) {
    case 0: return dice_roll(dice);
    case 1: return dice_roll(dice) >> 17;
    case 2: return dice_below(dice, 4096);
    case 3: return near + size + dice_below(dice, 4096) * 8;
    case 4: return near - dice_below(dice, 4096) * 8;
    case 5: return near + dice_below(dice, size);
    default: return near + dice_below(dice, size) / 8 * 8;
    }
}

static uintptr_t roll_code(struct dice *dice)
{
    static void *const functions[] = {(void *)qsort, (void *)printf,    (void *)chain_with_fp, (void *)chain_without_fp,
                                      (void *)leaf,  (void *)sigaction, (void *)tp_walk_run,   (void *)getcontext};
    uintptr_t function = (uintptr_t)functions[dice_below(dice, sizeof(functions) / sizeof(functions[0]))];
    return roll_address(dice, function, 2000);
}

static void capture_wildly(struct dice *dice, uintptr_t base, uintptr_t size, unsigned rounds)
{
    uintptr_t frames[TP_STACK_FRAMES];
    while (rounds-- > 0) {
        uintptr_t pc = roll_code(dice), sp = roll_address(dice, base, size), fp = roll_address(dice, base, size);
        ck_assert_uint_ge(tp_stack_capture_at(pc, sp, fp, frames, TP_STACK_FRAMES), 1);
        ck_assert_uint_eq(frames[0], pc);
    }
}

START_TEST(nothing_is_read_that_cannot_be)
{
    if (!READS_ANYWHERE)
        return;
    struct dice dice = dice_from_environment();
    uintptr_t own = (uintptr_t)__builtin_frame_address(0) - 4 * TP_OS_PAGE;
    capture_wildly(&dice, own, 16 * TP_OS_PAGE, 100000);
    char *pages = mmap(NULL, 16 * TP_OS_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 16; i++)
            mprotect(pages + i * TP_OS_PAGE, TP_OS_PAGE,
                     dice_below(&dice, 4) == 0 ? PROT_NONE : PROT_READ | PROT_WRITE);
        for (unsigned i = 0; i < 16 * TP_OS_PAGE / 8; i++)
            if (tp_os_is_readable((uintptr_t)pages + i * 8) && (i / 512 + round) % 2 == 0)
                ((uintptr_t *)(void *)pages)[i] =
                    i % 2 == 0 ? roll_code(&dice) : roll_address(&dice, (uintptr_t)pages, 16 * TP_OS_PAGE);
        capture_wildly(&dice, (uintptr_t)pages, 16 * TP_OS_PAGE, 5000);
        for (unsigned i = 0; i < 16; i++)
            mprotect(pages + i * TP_OS_PAGE, TP_OS_PAGE, PROT_READ | PROT_WRITE);
    }
}
END_TEST

/* A frame that was written over, as far as its return address or beyond, and put right before anybody returns. */
static __attribute__((noinline)) void break_frames(struct dice *dice)
{
    uintptr_t saved[64];
    uintptr_t *frame = __builtin_frame_address(0);
    struct tp_extent extent;
    tp_extent_open(&extent, (uintptr_t)frame);
    size_t words = tp_min(64, (extent.end - (uintptr_t)frame) / sizeof(saved[0]));
    memcpy(saved, frame, words * sizeof(saved[0]));
    for (int i = 0; i < 20000; i++) {
        size_t at = dice_below(dice, words);
        frame[at] = dice_below(dice, 2) == 0 ? roll_code(dice) : roll_address(dice, (uintptr_t)frame, 8192);
        struct tp_call call = {saved[1], (uintptr_t)(frame + 2)};
        unsigned count = tp_stack_capture(&call, ours, TP_STACK_FRAMES);
        if (i % 16 == 0 || at <= 1)
            memcpy(frame, saved, words * sizeof(saved[0]));
        if (count == 0)
            abort();
    }
    memcpy(frame, saved, words * sizeof(saved[0]));
    __asm__ volatile("" ::: "memory");
}

static void break_some(void)
{
    struct dice dice = dice_from_environment();
    break_frames(&dice);
    __asm__ volatile("" ::: "memory");
}

static void *break_in_thread(void *argument)
{
    chain_with_fp(1, break_some);
    chain_without_fp(3, break_some);
    return argument;
}

START_TEST(a_frame_that_is_written_over_is_survived)
{
    pthread_t thread;
    if (!READS_ANYWHERE)
        return;
    break_in_thread(NULL);
    ck_assert_int_eq(pthread_create(&thread, NULL, break_in_thread, NULL), 0);
    pthread_join(thread, NULL);
    compare_shapes();
}
END_TEST

UNIT_MAIN("walk", every_shape_is_walked_to_its_end, a_deep_chain_is_cut, threads_share_the_rules,
          a_kept_rule_is_the_rule, a_signal_s_chain_goes_on_with_what_it_interrupted,
          a_fault_s_chain_begins_where_it_happened, a_coroutine_s_chain_ends_in_it,
          a_handler_s_chain_goes_on_with_another_stack, generated_code_is_left_by_its_frame_pointer,
          generated_code_without_frames_ends_the_chain_or_leaves_one_out,
          generated_code_that_uses_the_register_otherwise_ends_the_chain, nothing_is_read_that_cannot_be,
          a_frame_that_is_written_over_is_survived)
