/*
 * What the program does to signals, while traps are on: the two that a touched guard page raises are the trap's
 * (trap.h), which keeps the program's own actions for them.
 *
 * A thread that holds these two back dies of a touch with nobody told.  Programs hold back all signals without meaning
 * these, which the system does not let wait anyway when they come of an instruction; so they are taken out of the sets.
 * sigset alone holds one of them back: there it was named.
 */
#include "preload.h"

#include "trap.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

/* Half of these are deprecated for callers. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

/* glibc declares it for old standards alone. */
extern __sighandler_t bsd_signal(int number, __sighandler_t handler);

/* The C library's own name: until the constructor has run it needs no looking up. */
extern int __sigaction(int number, const struct sigaction *action, struct sigaction *old);

#define SIGNALS_CALLS(X)                                                                                               \
    X(__sysv_signal, NULL)                                                                                             \
    X(pthread_sigmask, NULL)                                                                                           \
    X(sigaction, __sigaction)                                                                                          \
    X(sigignore, NULL)                                                                                                 \
    X(siginterrupt, NULL)                                                                                              \
    X(signal, NULL)                                                                                                    \
    X(sigprocmask, NULL)                                                                                               \
    X(sigset, NULL)

enum {
#define X(name, known) SIGNALS_##name,
    SIGNALS_CALLS(X)
#undef X
        SIGNALS_COUNT,
};

static struct preload_next signals_next[SIGNALS_COUNT] = {
#define X(name, known) {#name, (void *)(known)},
    SIGNALS_CALLS(X)
#undef X
};

#define NEXT(name) ((__typeof__(&name))(uintptr_t)preload_find(&signals_next[SIGNALS_##name]))

static __attribute__((constructor)) void signals_start(void)
{
    preload_look_up_all(signals_next, SIGNALS_COUNT);
}

/* --- sets ----------------------------------------------------------------------------------------------------- */

/* A set without the two; the caller's may be as short as the system's. */
static const sigset_t *signals_spare(const sigset_t *set, sigset_t *spared)
{
    if (!tp_trap_has(SIGSEGV) || set == NULL || (!sigismember(set, SIGSEGV) && !sigismember(set, SIGBUS)))
        return set;
    sigemptyset(spared);
    memcpy(spared, set, (_NSIG - 1) / 8);
    sigdelset(spared, SIGSEGV);
    sigdelset(spared, SIGBUS);
    return spared;
}

EXPORT int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
    sigset_t spared;
    return NEXT(pthread_sigmask)(how, how != SIG_UNBLOCK ? signals_spare(set, &spared) : set, old);
}

EXPORT int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
    sigset_t spared;
    return NEXT(sigprocmask)(how, how != SIG_UNBLOCK ? signals_spare(set, &spared) : set, old);
}

/* --- actions -------------------------------------------------------------------------------------------------- */

static int signals_set_other(int number, const struct sigaction *action, struct sigaction *old)
{
    struct sigaction spared;
    if (action == NULL || !tp_trap_has(SIGSEGV))
        return NEXT(sigaction)(number, action, old);
    spared = *action;
    spared.sa_mask = *signals_spare(&action->sa_mask, &spared.sa_mask);
    return NEXT(sigaction)(number, &spared, old);
}

EXPORT int sigaction(int number, const struct sigaction *action, struct sigaction *old)
{
    return tp_trap_set_action(number, action, old) ? 0 : signals_set_other(number, action, old);
}

/* Those that siginterrupt was called for. */
static sigset_t signals_interrupting;

/* A signal of the trap's gets a handler; `is_held`: while it runs. */
static __sighandler_t signals_set(int number, __sighandler_t handler, int flags, bool is_held)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags}, old;
    if (handler == SIG_ERR) {
        errno = EINVAL;
        return SIG_ERR;
    }
    if (is_held)
        sigaddset(&action.sa_mask, number);
    tp_trap_set_action(number, &action, &old);
    return old.sa_handler;
}

EXPORT __sighandler_t signal(int number, __sighandler_t handler)
{
    if (!tp_trap_has(number))
        return NEXT(signal)(number, handler);
    return signals_set(number, handler, sigismember(&signals_interrupting, number) ? 0 : SA_RESTART, true);
}

ALIAS(bsd_signal, signal);
ALIAS(ssignal, signal);

EXPORT __sighandler_t __sysv_signal(int number, __sighandler_t handler)
{
    if (!tp_trap_has(number))
        return NEXT(__sysv_signal)(number, handler);
    return signals_set(number, handler, (int)(SA_RESETHAND | SA_NODEFER), false);
}

ALIAS(sysv_signal, __sysv_signal);

static __sighandler_t signals_get(int number)
{
    struct sigaction action;
    tp_trap_set_action(number, NULL, &action);
    return action.sa_handler;
}

/* Whether it was held back before. */
static bool signals_hold(int how, int number)
{
    sigset_t set, before;
    sigemptyset(&set);
    sigaddset(&set, number);
    NEXT(pthread_sigmask)(how, &set, &before);
    return sigismember(&before, number) == 1;
}

EXPORT __sighandler_t sigset(int number, __sighandler_t handler)
{
    if (!tp_trap_has(number))
        return NEXT(sigset)(number, handler);
    bool holds = handler == SIG_HOLD;
    __sighandler_t old = holds ? signals_get(number) : signals_set(number, handler, 0, false);
    if (old != SIG_ERR && signals_hold(holds ? SIG_BLOCK : SIG_UNBLOCK, number))
        old = SIG_HOLD;
    return old;
}

EXPORT int sigignore(int number)
{
    if (!tp_trap_has(number))
        return NEXT(sigignore)(number);
    signals_set(number, SIG_IGN, 0, false);
    return 0;
}

EXPORT int siginterrupt(int number, int interrupts)
{
    struct sigaction action;
    if (!tp_trap_has(number))
        return NEXT(siginterrupt)(number, interrupts);
    tp_trap_set_action(number, NULL, &action);
    if (interrupts) {
        sigaddset(&signals_interrupting, number);
        action.sa_flags &= ~SA_RESTART;
    } else {
        sigdelset(&signals_interrupting, number);
        action.sa_flags |= SA_RESTART;
    }
    tp_trap_set_action(number, &action, NULL);
    return 0;
}
