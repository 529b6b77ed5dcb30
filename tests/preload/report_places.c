/*
 * Touches what lies behind a block, in a place where it is hard to tell anybody of it.
 *
 * Usage: report_places PLACE      must end by SIGABRT, with a report; status 9: the place could not be made
 */
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

static char *volatile block;
static volatile int held;
static volatile unsigned rounds;

static void touch(void)
{
    block[112] = 1;
}

static void give_up(void)
{
    _exit(9);
}

/* --- locks ---------------------------------------------------------------------------------------------------- */

static volatile int forks;

/* Registered before the module's, so it runs after that, when all locks of the heap are held. */
static void before_fork(void)
{
    if (forks == 0)
        return;
    unsigned seen = rounds;
    usleep(50000);
    if (rounds - seen > 1)
        give_up(); /* others still allocate */
    if (forks == 1)
        touch();
    held = 1;
    pause();
}

static void register_before_fork(void)
{
    pthread_atfork(before_fork, NULL, NULL);
}

static __attribute__((section(".preinit_array"), used)) void (*const preinit)(void) = register_before_fork;

static void *allocate_again_and_again(void *argument)
{
    for (;;) {
        free(malloc(100));
        rounds++;
    }
    return argument;
}

static void begin_to_allocate(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, allocate_again_and_again, NULL);
    while (rounds < 100)
        usleep(1000);
}

static void heap_locks_held(void)
{
    begin_to_allocate();
    forks = 1;
    fork();
}

static void *fork_and_stay(void *argument)
{
    forks = 2;
    fork();
    return argument;
}

static void heap_locks_held_by_another(void)
{
    pthread_t thread;
    begin_to_allocate();
    pthread_create(&thread, NULL, fork_and_stay, NULL);
    while (!held)
        usleep(1000);
    touch();
}

static void stdio_locks_held(void)
{
    flockfile(stdout);
    flockfile(stderr);
    touch();
}

static int touch_in_loader(struct dl_phdr_info *info, size_t size, void *argument)
{
    (void)info;
    (void)size;
    (void)argument;
    touch();
    return 0;
}

static void loader_lock_held(void)
{
    dl_iterate_phdr(touch_in_loader, NULL);
}

/* --- handlers ------------------------------------------------------------------------------------------------- */

static void touch_in_handler(int number)
{
    (void)number;
    touch();
}

static void set(int number, void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigfillset(&action.sa_mask);
    if (sigaction(number, &action, NULL) != 0)
        give_up();
}

static void in_handler(void)
{
    set(SIGUSR1, touch_in_handler, 0);
    raise(SIGUSR1);
}

/* Wherever the allocator is at that moment. */
static void in_handler_amid_calls(void)
{
    struct itimerval soon = {.it_value.tv_usec = 20000 + getpid() % 100};
    set(SIGALRM, touch_in_handler, 0);
    setitimer(ITIMER_REAL, &soon, NULL);
    allocate_again_and_again(NULL);
}

static void on_alternate_stack(size_t size)
{
    stack_t stack = {.ss_sp = malloc(size), .ss_size = size};
    if (sigaltstack(&stack, NULL) != 0)
        give_up();
}

static void give_up_in_handler(int number)
{
    (void)number;
    give_up();
}

/* Room for what the system puts there `frames` times, and for little more. */
static size_t smallest_stack(size_t frames)
{
    return frames * (size_t)sysconf(_SC_MINSIGSTKSZ) + 768;
}

/* The program has a handler of its own, on a stack as small as they come. */
static void alternate_stack(void)
{
    on_alternate_stack(smallest_stack(1));
    set(SIGSEGV, give_up_in_handler, SA_ONSTACK);
    set(SIGBUS, give_up_in_handler, SA_ONSTACK);
    touch();
}

/* Two frames of the system lie on it. */
static void in_handler_on_alternate_stack(void)
{
    on_alternate_stack(smallest_stack(2));
    set(SIGUSR1, touch_in_handler, SA_ONSTACK);
    raise(SIGUSR1);
}

static void *touch_in_thread(void *argument)
{
    touch();
    return argument;
}

static void small_stack(void)
{
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, (size_t)sysconf(_SC_THREAD_STACK_MIN));
    if (pthread_create(&thread, &attributes, touch_in_thread, NULL) != 0)
        give_up();
    pthread_join(thread, NULL);
}

/* --- what the program does with these signals ----------------------------------------------------------------- */

static void all_signals_held(void)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    touch();
}

static void all_signals_held_by_thread(void)
{
    pthread_t thread;
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    pthread_create(&thread, NULL, touch_in_thread, NULL);
    pthread_join(thread, NULL);
}

static void all_signals_ignored(void)
{
    for (int number = 1; number < 32; number++)
        signal(number, SIG_IGN);
    touch();
}

static sigjmp_buf back;

static void jump_back(int number)
{
    (void)number;
    siglongjmp(back, 1);
}

static void after_own_faults(void)
{
    signal(SIGSEGV, jump_back);
    for (volatile int i = 0; i < 3; i++)
        if (sigsetjmp(back, 1) == 0)
            *(volatile char *)8 = 1;
    signal(SIGSEGV, SIG_DFL);
    touch();
}

static void abort_is_handled(void)
{
    set(SIGABRT, jump_back, 0);
    signal(SIGABRT, SIG_IGN);
    touch();
}

/* --- what is missing ------------------------------------------------------------------------------------------ */

static void nothing_special(void)
{
    touch();
}

static void stdout_closed(void)
{
    close(STDOUT_FILENO);
    touch();
}

static void all_closed(void)
{
    for (int fd = 0; fd < 3; fd++)
        close(fd);
    touch();
}

static void limit(int which)
{
    if (setrlimit(which, &(struct rlimit){0, 0}) != 0)
        give_up();
}

/* Nothing more can be mapped: what there is stays. */
static void no_address_space(void)
{
    limit(RLIMIT_AS);
    touch();
}

static void no_descriptors(void)
{
    limit(RLIMIT_NOFILE);
    touch();
}

static void no_reader(void)
{
    int ends[2];
    if (pipe(ends) != 0 || dup2(ends[1], STDERR_FILENO) < 0)
        give_up();
    close(ends[0]);
    touch();
}

static void no_file_size(void)
{
    limit(RLIMIT_FSIZE);
    touch();
}

#define PLACE(name)                                                                                                    \
    {                                                                                                                  \
#name, name                                                                                                    \
    }

static const struct place {
    const char *name;
    void (*touch)(void);
} places[] = {
    PLACE(nothing_special),       PLACE(heap_locks_held),  PLACE(heap_locks_held_by_another),
    PLACE(stdio_locks_held),      PLACE(loader_lock_held), PLACE(in_handler),
    PLACE(in_handler_amid_calls), PLACE(alternate_stack),  PLACE(in_handler_on_alternate_stack),
    PLACE(small_stack),           PLACE(all_signals_held), PLACE(all_signals_held_by_thread),
    PLACE(all_signals_ignored),   PLACE(after_own_faults), PLACE(abort_is_handled),
    PLACE(stdout_closed),         PLACE(all_closed),       PLACE(no_address_space),
    PLACE(no_descriptors),        PLACE(no_reader),        PLACE(no_file_size),
};

int main(int argc, char **argv)
{
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    alarm(30);
    block = malloc(100);
    for (size_t i = 0; argc > 1 && i < sizeof(places) / sizeof(places[0]); i++)
        if (strcmp(places[i].name, argv[1]) == 0)
            places[i].touch();
    for (size_t i = 0; argc == 1 && i < sizeof(places) / sizeof(places[0]); i++)
        puts(places[i].name);
    return argc != 1;
}
