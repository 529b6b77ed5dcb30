/*
 * Touching what may be a guard: which signal it is, and that the signal tells the address to the byte.
 */
#ifndef TEST_TOUCH_H
#define TEST_TOUCH_H

#include <check.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

static __thread sigjmp_buf touch_back;
static __thread void *touch_address;

static inline void touch_failed(int signal, siginfo_t *info, void *context)
{
    (void)context;
    touch_address = info->si_addr;
    siglongjmp(touch_back, signal);
}

static inline void touch_catch(void)
{
    struct sigaction action = {.sa_sigaction = touch_failed, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
}

/* The signal of a read or a write there; 0: none. */
static inline int touch(char *at, bool write)
{
    int signal = sigsetjmp(touch_back, 1);
    if (signal != 0) {
        ck_assert_ptr_eq(touch_address, at);
        return signal;
    }
    if (write)
        *(volatile char *)at = 1;
    else
        (void)*(volatile char *)at;
    return 0;
}

#endif
