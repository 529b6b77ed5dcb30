#include "trap.h"
#include "fatal.h"
#include "os.h"
#include "special.h"

#include <string.h>
#include <ucontext.h>

/* What the program set for a signal. */
struct trap {
    int number;
    uint32_t version;
    struct sigaction copies[2];
};
static struct trap traps[] = {{.number = SIGSEGV}, {.number = SIGBUS}};

/* The process that has them, and the one of which a thread writes one of them; 0: none. */
static uint32_t trap_process;
static uint32_t trap_writer;

void (*tp_trap_unhandled)(int number, const siginfo_t *info, const void *context);

static void trap_handle(int number, siginfo_t *info, void *context);

static struct trap *trap_of(int number)
{
    return number == SIGSEGV ? &traps[0] : number == SIGBUS ? &traps[1] : NULL;
}

/* The system goes by the address alone, whatever the flags say. */
static bool trap_has_handler(const struct sigaction *action)
{
    return action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN;
}

static bool trap_is_at_home(void)
{
    return tp_peek(&trap_process) == tp_os_process_id();
}

/* --- what is kept --------------------------------------------------------------------------------------------- */

/* Who writes may have been stopped half-way for good, in a child of fork: nobody waits for it here. */
static struct sigaction trap_read(const struct trap *trap)
{
    struct sigaction action;
    uint32_t version;
    do {
        version = __atomic_load_n(&trap->version, __ATOMIC_ACQUIRE);
        action = trap->copies[version % 2];
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
    } while (tp_peek(&trap->version) != version);
    return action;
}

/* A writer of another process is none: it wrote when this one was forked from it. */
static uint64_t trap_write_begin(void)
{
    uint32_t self = tp_os_process_id();
    uint64_t held = tp_os_signals_hold();
    uint32_t writer = tp_peek(&trap_writer);
    for (;;) {
        if (writer != self &&
            __atomic_compare_exchange_n(&trap_writer, &writer, self, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            return held;
        tp_os_sleep_ms(1);
        writer = tp_peek(&trap_writer);
    }
}

static void trap_write_end(uint64_t held)
{
    __atomic_store_n(&trap_writer, 0, __ATOMIC_RELEASE);
    tp_os_signals_release(held);
}

/*
 * Ours, as the program wants its own to be called.  What it ignores must not end its waiting, as far as the system can
 * be told so.
 */
static void trap_arm(const struct trap *trap, const struct sigaction *action)
{
    struct sigaction own;
    memset(&own, 0, sizeof(own));
    own.sa_sigaction = trap_handle;
    own.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
    if (trap_has_handler(action)) {
        own.sa_mask = action->sa_mask;
        own.sa_flags = SA_SIGINFO | (action->sa_flags & (SA_ONSTACK | SA_NODEFER | SA_RESTART));
    }
    tp_os_signal_action(trap->number, &own, NULL);
}

/* Without us. */
static void trap_set_system(int number, __sighandler_t handler)
{
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_handler = handler;
    tp_os_signal_action(number, &action, NULL);
}

/* The writer alone. */
static void trap_write(struct trap *trap, const struct sigaction *action)
{
    trap->copies[(trap->version + 1) % 2] = *action;
    tp_publish(&trap->version, trap->version + 1);
    trap_arm(trap, action);
}

/* What is to be called now: once, where the program said so. */
static struct sigaction trap_take(struct trap *trap)
{
    struct sigaction action = trap_read(trap), standard;
    if (!trap_has_handler(&action) || (action.sa_flags & SA_RESETHAND) == 0 || !trap_is_at_home())
        return action;
    uint64_t held = trap_write_begin();
    standard = action = trap_read(trap);
    standard.sa_handler = SIG_DFL;
    if ((action.sa_flags & SA_RESETHAND) != 0)
        trap_write(trap, &standard);
    trap_write_end(held);
    return action;
}

/* --- what is not ours ----------------------------------------------------------------------------------------- */

/* By a process, or by the system in its own time: no instruction faulted here. */
static bool trap_is_sent(int number, const siginfo_t *info)
{
    return info->si_code <= 0 || (number == SIGBUS && info->si_code == BUS_MCEERR_AO);
}

/*
 * As if there were no handler: the signal comes again when this one returns, before the next instruction, and a core
 * dump shows both as they were.
 */
static void trap_take_its_course(int number, siginfo_t *info, const void *context)
{
    if (tp_trap_unhandled != NULL)
        tp_trap_unhandled(number, info, context);
    trap_set_system(number, SIG_DFL);
    tp_os_signal_again(number, info);
}

/* All that the system hands over, whatever the flags say: some look at what they did not ask for. */
static void trap_pass_on(struct trap *trap, siginfo_t *info, void *context)
{
    struct sigaction action = trap_take(trap);
    if (trap_has_handler(&action))
        action.sa_sigaction(trap->number, info, context);
    else if (action.sa_handler == SIG_DFL || !trap_is_sent(trap->number, info))
        trap_take_its_course(trap->number, info, context);
}

/* --- what is -------------------------------------------------------------------------------------------------- */

/* The block whose guard was touched, or NULL.  A program may protect the pages of its own blocks. */
static const struct tp_special *trap_find_block(int number, const siginfo_t *info)
{
    if (trap_is_sent(number, info))
        return NULL;
    const struct tp_special *special = tp_special_blame(info->si_addr);
    bool is_guard = special != NULL && special->state != TP_SPECIAL_FREE && !tp_special_is_open(special, info->si_addr);
    return is_guard ? special : NULL;
}

/* What a stop is for. */
struct trap_touch {
    const struct tp_special *special;
    const void *address;
    const ucontext_t *context;
};

static __attribute__((noreturn)) void trap_stop(const struct trap_touch *touch)
{
    struct tp_registers at;
    tp_os_registers(touch->context, &at);
    tp_stop_in_signal(touch->special->state == TP_SPECIAL_FREED ? TP_FREED_POOL_TOUCHED : TP_BEYOND_END_TOUCHED,
                      (uintptr_t)touch->address, at.is_write, at.pc, touch->address, tp_tags[touch->special->slot].tag,
                      touch->context);
}

/* Alternate stacks are as small as programs dare; a report takes more. */
static char trap_stack[32 * TP_KIB] __attribute__((aligned(16)));
static struct trap_touch trap_touch;
static uint32_t trap_stack_is_taken;

static void trap_stop_on_own_stack(void)
{
    trap_stop(&trap_touch);
}

static void trap_change_stack(const struct trap_touch *touch)
{
    static ucontext_t next;
    trap_touch = *touch;
    getcontext(&next);
    next.uc_stack = (stack_t){.ss_sp = trap_stack, .ss_size = sizeof(trap_stack)};
    next.uc_link = NULL;
    makecontext(&next, trap_stop_on_own_stack, 0);
    setcontext(&next);
}

static bool trap_is_on_alternate_stack(const ucontext_t *context)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0), base = (uintptr_t)context->uc_stack.ss_sp;
    return here - base < context->uc_stack.ss_size;
}

/* Elsewhere the stack stays, so that a core dump shows how the program came here. */
static TP_NOINLINE __attribute__((noreturn, cold)) void trap_begin_stop(const struct trap_touch *touch)
{
    if (trap_is_on_alternate_stack(touch->context) && !__atomic_exchange_n(&trap_stack_is_taken, 1, __ATOMIC_ACQ_REL))
        trap_change_stack(touch);
    trap_stop(touch);
}

static void trap_handle(int number, siginfo_t *info, void *context)
{
    const struct trap_touch touch = {trap_find_block(number, info), info->si_addr, context};
    if (touch.special != NULL)
        trap_begin_stop(&touch);
    trap_pass_on(trap_of(number), info, context);
}

/* --- the interface -------------------------------------------------------------------------------------------- */

static void trap_install_one(struct trap *trap)
{
    struct sigaction action;
    tp_os_signal_action(trap->number, NULL, &action);
    trap_write(trap, &action);
}

void tp_trap_install(void)
{
    if (tp_peek(&trap_process) != 0)
        return;
    uint64_t held = trap_write_begin();
    trap_install_one(trap_of(SIGSEGV));
    trap_install_one(trap_of(SIGBUS));
    tp_poke(&trap_process, tp_os_process_id());
    trap_write_end(held);
}

void tp_trap_adopt(void)
{
    if (tp_peek(&trap_process) != 0)
        tp_poke(&trap_process, tp_os_process_id());
}

/* A child of vfork may have told the system otherwise. */
static void trap_begin_exec(const struct trap *trap)
{
    struct sigaction now;
    tp_os_signal_action(trap->number, NULL, &now);
    if (now.sa_sigaction == trap_handle && trap_read(trap).sa_handler == SIG_IGN)
        trap_set_system(trap->number, SIG_IGN);
}

static void trap_end_exec(const struct trap *trap)
{
    struct sigaction now, action = trap_read(trap);
    tp_os_signal_action(trap->number, NULL, &now);
    if (now.sa_handler == SIG_IGN && action.sa_handler == SIG_IGN)
        trap_arm(trap, &action);
}

void tp_trap_begin_exec(void)
{
    if (!tp_trap_has(SIGSEGV))
        return;
    trap_begin_exec(trap_of(SIGSEGV));
    trap_begin_exec(trap_of(SIGBUS));
}

void tp_trap_end_exec(void)
{
    if (!tp_trap_has(SIGSEGV))
        return;
    trap_end_exec(trap_of(SIGSEGV));
    trap_end_exec(trap_of(SIGBUS));
}

bool tp_trap_has(int number)
{
    return trap_of(number) != NULL && tp_peek(&trap_process) != 0;
}

/* With the system alone: a child of vfork, or of a clone that nobody told us of. */
static void trap_set_elsewhere(const struct trap *trap, const struct sigaction *action, struct sigaction *old)
{
    tp_os_signal_action(trap->number, action, old);
    if (old->sa_sigaction == trap_handle)
        *old = trap_read(trap);
}

static void trap_set(struct trap *trap, const struct sigaction *action, struct sigaction *old)
{
    uint64_t held = trap_write_begin();
    *old = trap_read(trap);
    trap_write(trap, action);
    trap_write_end(held);
}

/* What the caller points to is touched with nothing held: it may fault. */
bool tp_trap_set_action(int number, const struct sigaction *action, struct sigaction *old)
{
    struct sigaction before, after;
    if (!tp_trap_has(number))
        return false;
    struct trap *trap = trap_of(number);
    if (action != NULL)
        after = *action;
    if (!trap_is_at_home())
        trap_set_elsewhere(trap, action != NULL ? &after : NULL, &before);
    else if (action != NULL)
        trap_set(trap, &after, &before);
    else
        before = trap_read(trap);
    if (old != NULL)
        *old = before;
    return true;
}
