#include "trap.h"
#include "fatal.h"
#include "os.h"
#include "special.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The program's own. */
static struct sigaction trap_bus, trap_segv;
static bool trap_is_installed;

void (*tp_trap_unhandled)(int number, const siginfo_t *info, const void *context);

static void trap_handle(int number, siginfo_t *info, void *context);

static struct sigaction *trap_of(int number)
{
    return number == SIGSEGV ? &trap_segv : number == SIGBUS ? &trap_bus : NULL;
}

static bool trap_has_handler(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) != 0 || (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN);
}

/* Ours, as the program wants its own to be called. */
static void trap_arm(int number)
{
    struct sigaction own;
    const struct sigaction *action = trap_of(number);
    memset(&own, 0, sizeof(own));
    own.sa_sigaction = trap_handle;
    own.sa_flags = SA_SIGINFO | SA_ONSTACK;
    if (trap_has_handler(action)) {
        own.sa_mask = action->sa_mask;
        own.sa_flags = SA_SIGINFO | (action->sa_flags & (SA_ONSTACK | SA_NODEFER | SA_RESTART));
    }
    tp_os_signal_action(number, &own, NULL);
}

/* --- what is not ours ----------------------------------------------------------------------------------------- */

/* An instruction faults again when the handler returns; what was sent by somebody is sent again. */
static void trap_take_its_course(int number, const siginfo_t *info)
{
    struct sigaction standard;
    memset(&standard, 0, sizeof(standard));
    standard.sa_handler = SIG_DFL;
    tp_os_signal_action(number, &standard, NULL);
    if (info->si_code <= 0)
        syscall(SYS_tgkill, getpid(), (pid_t)syscall(SYS_gettid), number);
}

static void trap_pass_on(int number, siginfo_t *info, void *context)
{
    struct sigaction *action = trap_of(number), called = *action;
    bool is_sent = info->si_code <= 0;
    if (is_sent && (called.sa_flags & SA_SIGINFO) == 0 && called.sa_handler == SIG_IGN)
        return;
    if (!trap_has_handler(&called)) {
        if (tp_trap_unhandled != NULL)
            tp_trap_unhandled(number, info, context);
        trap_take_its_course(number, info);
        return;
    }
    if ((called.sa_flags & SA_RESETHAND) != 0)
        memset(action, 0, sizeof(*action));
    if ((called.sa_flags & SA_SIGINFO) != 0)
        called.sa_sigaction(number, info, context);
    else
        called.sa_handler(number);
}

/* --- what is -------------------------------------------------------------------------------------------------- */

static void trap_handle(int number, siginfo_t *info, void *context)
{
    struct tp_registers at;
    const struct tp_special *special = info->si_code > 0 ? tp_special_blame(info->si_addr) : NULL;
    int saved = errno;
    tp_os_registers(context, &at);
    if (special != NULL && special->state != TP_SPECIAL_FREE)
        tp_stop_in_signal(special->state == TP_SPECIAL_FREED ? TP_FREED_POOL_TOUCHED : TP_BEYOND_END_TOUCHED,
                          (uintptr_t)info->si_addr, at.is_write, at.pc, info->si_addr, context);
    trap_pass_on(number, info, context);
    errno = saved;
}

/* --- the interface -------------------------------------------------------------------------------------------- */

void tp_trap_install(void)
{
    if (trap_is_installed)
        return;
    trap_is_installed = true;
    tp_os_signal_action(SIGSEGV, NULL, &trap_segv);
    tp_os_signal_action(SIGBUS, NULL, &trap_bus);
    trap_arm(SIGSEGV);
    trap_arm(SIGBUS);
}

bool tp_trap_set_action(int number, const struct sigaction *action, struct sigaction *old)
{
    struct sigaction *kept = trap_of(number);
    if (kept == NULL || !trap_is_installed)
        return false;
    struct sigaction before = *kept;
    if (action != NULL) {
        *kept = *action;
        trap_arm(number);
    }
    if (old != NULL)
        *old = before;
    return true;
}
