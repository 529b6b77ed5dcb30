#include "inquest.h"
#include "chart.h"
#include "os.h"
#include "tell.h"
#include "text.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>

#define INQUEST_STACK (256 * TP_KIB)

/* Words of other threads; of each: six arguments, the stack pointer and where it is. */
#define INQUEST_WORDS 4096u
#define INQUEST_WORDS_A_THREAD 8u

/* Suspects that a second look can go by, at most. */
#define INQUEST_SUSPECTS (64 * TP_MIB)

/* Between two looks: threads that are run get to another place. */
#define INQUEST_PAUSE_MS 20

struct inquest {
    struct tp_image image;
    int maps;
    int pages;
    sigjmp_buf escape; /* from memory that cannot be read */
    int error;
    uintptr_t words[INQUEST_WORDS];
    uintptr_t stack_pointer;
    struct tp_leak_look look;
    struct tp_leak_result result;
    char stack[INQUEST_STACK] __attribute__((aligned(TP_OS_PAGE)));
};

/* The twin's: a handler of signals has no argument of its own. */
static struct inquest *inquest_current;

/* --- the image of oneself ------------------------------------------------------------------------------------- */

static void inquest_escape(int number)
{
    siglongjmp(inquest_current->escape, 1);
}

/* No libc function copies: sanitizers watch these. */
static __attribute__((no_sanitize("address", "thread", "undefined"))) void inquest_copy(char *to, const char *from,
                                                                                        size_t size)
{
#if defined(__x86_64__)
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
#else
    for (const volatile char *at = from; size > 0; size--)
        *to++ = *at++;
#endif
}

static TP_NOINLINE void inquest_copy_all(char *to, const struct tp_image_range *ranges, unsigned count)
{
    for (unsigned i = 0; i < count; to += ranges[i++].size)
        inquest_copy(to, (const char *)ranges[i].at, ranges[i].size);
}

static bool inquest_read(struct tp_image *image, const struct tp_image_range *ranges, unsigned count, void *to)
{
    if (sigsetjmp(((struct inquest *)image)->escape, 0) != 0)
        return false;
    inquest_copy_all(to, ranges, count);
    return true;
}

static bool inquest_read_pages(struct tp_image *image, uintptr_t at, size_t count, uint64_t *entries)
{
    const struct inquest *inquest = (const struct inquest *)image;
    size_t size = count * sizeof(entries[0]);
    uint64_t offset = (at >> TP_OS_PAGE_SHIFT) * sizeof(entries[0]);
    return inquest->pages >= 0 && tp_os_read_at(inquest->pages, offset, entries, size) == (int)size;
}

static int inquest_read_maps(struct tp_image *image, char *to, size_t size)
{
    const struct inquest *inquest = (const struct inquest *)image;
    return inquest->maps >= 0 ? tp_os_read(inquest->maps, to, size) : inquest->maps;
}

/* Shared memory is no root, so what the twin works in is none. */
static void *inquest_memory(struct tp_image *image, size_t size)
{
    return tp_os_share(size);
}

/* --- the twin ------------------------------------------------------------------------------------------------- */

static void inquest_catch_faults(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_handler = inquest_escape;
    action.sa_flags = SA_NODEFER;
    tp_os_signal_action(SIGSEGV, &action, NULL);
    tp_os_signal_action(SIGBUS, &action, NULL);
}

static int inquest_look(void *argument)
{
    struct inquest *inquest = argument;
    inquest_current = inquest;
    inquest_catch_faults();
    inquest->maps = tp_os_open_kernel_file("/proc/self/maps");
    inquest->pages = tp_os_open_kernel_file("/proc/self/pagemap");
    inquest->error = tp_leak_find(&inquest->look, &inquest->result);
    return 0;
}

/* --- what other threads wait for ------------------------------------------------------------------------------ */

static uintptr_t inquest_hex(const char **text)
{
    uintptr_t number = 0;
    for (;; (*text)++) {
        char c = **text;
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0)
            return number;
        number = number << 4 | (uintptr_t)digit;
    }
}

/* "0 0x3 0x7ffc0000 ...": the number of the call, then words; a thread that runs has none. */
static void inquest_add_words(struct inquest *inquest, const char *text)
{
    struct tp_leak_look *look = &inquest->look;
    for (unsigned i = 0; i < INQUEST_WORDS_A_THREAD && look->word_count < INQUEST_WORDS; i++) {
        text = strstr(text, "0x");
        if (text == NULL)
            return;
        text += 2;
        inquest->words[look->word_count++] = inquest_hex(&text);
    }
}

static void inquest_ask_about(struct inquest *inquest, uint32_t thread)
{
    char path[48], line[256];
    struct tp_text name = {.at = path, .size = sizeof(path) - 1};
    tp_text_add(&name, "/proc/self/task/");
    tp_text_number(&name, thread);
    tp_text_add(&name, "/syscall");
    path[name.length] = '\0';
    int length = tp_os_read_file(path, line, sizeof(line) - 1);
    if (length <= 0)
        return;
    line[length] = '\0';
    inquest_add_words(inquest, line);
}

/* Threads that never allocated have no record, and little to hold. */
static void inquest_ask_about_all(struct inquest *inquest)
{
    inquest->look.word_count = 0;
    for (uint32_t index = 0; index < tp_thread_count(); index++) {
        const struct tp_thread *thread = tp_thread_at(index);
        if (tp_peek(&thread->state) == TP_THREAD_ALIVE && thread->kernel_id != tp_os_thread_id())
            inquest_ask_about(inquest, thread->kernel_id);
    }
}

/* --- looks ---------------------------------------------------------------------------------------------------- */

static int inquest_send(struct inquest *inquest)
{
    inquest_ask_about_all(inquest);
    inquest->error = -EIO;
    int twin = tp_os_twin(inquest_look, inquest, inquest->stack, sizeof(inquest->stack));
    if (twin < 0)
        return twin;
    int status = tp_os_wait_for_twin(twin);
    return status == 0 ? inquest->error : -EIO;
}

static bool inquest_is_in_doubt(const struct tp_leak_result *result)
{
    return result->blocks[TAGPOOL_REPORT_LOST] != 0 || result->blocks[TAGPOOL_REPORT_POSSIBLY_LOST] != 0;
}

static int inquest_look_twice(struct inquest *inquest, struct tp_leak_suspects *suspects)
{
    suspects->room = (INQUEST_SUSPECTS - sizeof(*suspects)) / sizeof(suspects->keys[0]);
    inquest->look.suspects = suspects;
    int error = inquest_send(inquest);
    if (error != 0 || !inquest_is_in_doubt(&inquest->result))
        return error;
    tp_os_sleep_ms(INQUEST_PAUSE_MS);
    inquest->look.is_second = true;
    return inquest_send(inquest);
}

static int inquest_run(struct inquest *inquest)
{
    struct tp_leak_suspects *suspects = tp_os_thread_count() != 1 ? tp_os_share(INQUEST_SUSPECTS) : NULL;
    if (suspects == NULL)
        return inquest_send(inquest);
    int error = inquest_look_twice(inquest, suspects);
    tp_os_release(suspects, INQUEST_SUSPECTS);
    return error;
}

const struct tp_leak_result *tp_inquest_hold(const uint16_t *slots, uintptr_t stack, int *error)
{
    struct inquest *inquest = tp_os_share(sizeof(*inquest));
    *error = -ENOMEM;
    if (inquest == NULL)
        return NULL;
    inquest->image = (struct tp_image){inquest_read, inquest_read_pages, inquest_read_maps, inquest_memory};
    inquest->look = (struct tp_leak_look){
        .image = &inquest->image,
        .chart = (uintptr_t)&tp_chart,
        .words = inquest->words,
        .stacks = &inquest->stack_pointer,
        .stack_count = 1,
        .slots = slots,
        .by_stack = true,
    };
    inquest->stack_pointer = stack;
    *error = inquest_run(inquest);
    if (*error == 0)
        return &inquest->result;
    tp_os_release(inquest, sizeof(*inquest));
    return NULL;
}

void tp_inquest_release(const struct tp_leak_result *result)
{
    tp_os_release((char *)(uintptr_t)result - offsetof(struct inquest, result), sizeof(struct inquest));
}

/* --- telling -------------------------------------------------------------------------------------------------- */

static bool inquest_tell_group(const struct tp_leak_group *group)
{
    struct tagpool_report_leak leak = {
        .leak_class = group->leak_class,
        .tag = tp_tags[group->slot].tag,
        .blocks = group->blocks,
        .bytes = group->bytes,
    };
    memcpy(leak.name, tp_segment_slots[group->slot].name, sizeof(leak.name));
    return tp_tell_leak(&leak, group->stack);
}

static void inquest_add_class(struct tp_text *text, const struct tp_leak_result *leaks,
                              enum tagpool_report_leak_class class, const char *words)
{
    tp_text_number(text, leaks->blocks[class]);
    tp_text_add(text, leaks->blocks[class] == 1 ? " block, " : " blocks, ");
    tp_text_number(text, leaks->bytes[class]);
    tp_text_add(text, words);
}

/* For a program that nobody listens to. */
static void inquest_say(const struct tp_leak_result *leaks)
{
    char buffer[256];
    struct tp_text text = {.at = buffer, .size = sizeof(buffer)};
    if (leaks->blocks[TAGPOOL_REPORT_LOST] + leaks->blocks[TAGPOOL_REPORT_POSSIBLY_LOST] == 0)
        return;
    tp_text_add(&text, "tagpool: ");
    inquest_add_class(&text, leaks, TAGPOOL_REPORT_LOST, " bytes definitely lost; ");
    inquest_add_class(&text, leaks, TAGPOOL_REPORT_POSSIBLY_LOST, " bytes possibly lost; ");
    inquest_add_class(&text, leaks, TAGPOOL_REPORT_REACHABLE, " bytes reachable\n");
    tp_os_write_stderr(text.at, text.length);
}

static void inquest_tell_all(const struct tp_leak_result *leaks)
{
    bool is_heard = leaks->group_count != 0;
    for (uint32_t i = 0; i < leaks->group_count && is_heard; i++)
        is_heard = inquest_tell_group(&leaks->groups[i]);
    if (!is_heard)
        inquest_say(leaks);
}

/* Zeros in the last record would read as no leaks. */
static void inquest_say_error(int error)
{
    char buffer[128];
    struct tp_text text = {.at = buffer, .size = sizeof(buffer)};
    tp_text_add(&text, "tagpool: leaks could not be looked for: error ");
    tp_text_number(&text, (uint64_t)-error);
    tp_text_char(&text, '\n');
    tp_os_write_stderr(text.at, text.length);
}

void tp_inquest_tell(const uint16_t *slots, uintptr_t stack, struct tagpool_report_counters *counters)
{
    int error;
    const struct tp_leak_result *leaks = tp_inquest_hold(slots, stack, &error);
    if (leaks == NULL) {
        inquest_say_error(error);
        return;
    }
    counters->leaks_lost = leaks->blocks[TAGPOOL_REPORT_LOST];
    counters->leaks_possibly_lost = leaks->blocks[TAGPOOL_REPORT_POSSIBLY_LOST];
    counters->leaks_reachable = leaks->blocks[TAGPOOL_REPORT_REACHABLE];
    inquest_tell_all(leaks);
    tp_inquest_release(leaks);
}
