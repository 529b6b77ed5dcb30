/*
 * The malloc family of glibc 2.36 over the engine.
 *
 * Every entry point is the function that the program calls, never a call of another one here: its return address is
 * what the tag comes from.
 */
#include "preload.h"
#include "shortcut.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

/* --- allocate ------------------------------------------------------------------------------------------------- */

static uint64_t preload_key(uintptr_t pc)
{
    return tp_site_by_address ? tp_site_key(TP_KEY_SITE, pc) : tp_site_key(TP_KEY_CALL, tp_site_call_value(pc));
}

/* By calling address the fast path knows nobody: its key is the OS page of the call. */
static void *preload_alloc_by_address(size_t size, size_t alignment, uintptr_t pc)
{
    if (!tp_site_by_address || alignment > PRELOAD_ALIGNMENT)
        return NULL;
    return tp_alloc_fast(tp_site_key(TP_KEY_SITE, pc), TP_TABLE_PACKED, size);
}

static void *preload_alloc_known(size_t size, size_t alignment, uintptr_t pc, enum tagpool_report_face face)
{
    if (alignment > PRELOAD_ALIGNMENT)
        return NULL;
    return tp_alloc_known(tp_site_key(TP_KEY_CALL, tp_site_call_value(pc)), size, face);
}

/* Where blocks are hardened this is what the fast path is elsewhere. */
static void *preload_alloc_sealed(size_t size, size_t alignment, uintptr_t pc, enum tagpool_report_face face)
{
    if (alignment > PRELOAD_ALIGNMENT)
        return NULL;
    return tp_alloc_sealed(preload_key(pc), size, face);
}

static TP_NOINLINE void *preload_alloc_unknown(size_t size, size_t alignment, struct tp_call call,
                                               enum tagpool_report_face face)
{
    void *block = preload_alloc_known(size, alignment, call.pc, face);
    if (block == NULL)
        block = preload_alloc_by_address(size, alignment, call.pc);
    if (TP_LIKELY(block != NULL))
        return block;
    struct tp_thread *thread = tp_thread_self();
    const struct tp_alloc_request request = {
        .slot = tp_site_slot_of_call(thread, &call), .size = size, .alignment = alignment, .call = call, .face = face};
    return tp_alloc_requested(thread, &request);
}

/* Some tags are: of those that are not, few requests come by here. */
TP_INLINE void *preload_alloc_where_verified(size_t size, size_t alignment, struct tp_call call,
                                             enum tagpool_report_face face)
{
    void *block = NULL;
    if (TP_UNLIKELY(tp_peek(&tp_tag_rules_on) != 0) && alignment <= PRELOAD_ALIGNMENT)
        block = tp_shortcut_alloc(preload_key(call.pc), size, face, call);
    return block != NULL ? block : preload_alloc_unknown(size, alignment, call, face);
}

static TP_NOINLINE void *preload_alloc_where_hardened(size_t size, size_t alignment, struct tp_call call,
                                                      enum tagpool_report_face face)
{
    void *block = preload_alloc_sealed(size, alignment, call.pc, face);
    return TP_LIKELY(block != NULL) ? block : preload_alloc_where_verified(size, alignment, call, face);
}

TP_NOINLINE void *preload_alloc_slow(size_t size, size_t alignment, struct tp_call call, enum tagpool_report_face face)
{
    if (TP_UNLIKELY(tp_seal_is_on()))
        return preload_alloc_where_hardened(size, alignment, call, face);
    return preload_alloc_where_verified(size, alignment, call, face);
}

static TP_NOINLINE void *preload_calloc_slow(size_t size, struct tp_call call)
{
    void *block = NULL;
    if (TP_UNLIKELY(tp_seal_is_on()))
        block = preload_alloc_sealed(size, PRELOAD_ALIGNMENT, call.pc, TAGPOOL_REPORT_MALLOC);
    if (block == NULL)
        block = preload_alloc_known(size, PRELOAD_ALIGNMENT, call.pc, TAGPOOL_REPORT_MALLOC);
    if (TP_LIKELY(block != NULL))
        return tp_alloc_clear(block, size);
    struct tp_thread *thread = tp_thread_self();
    const struct tp_alloc_request request = {.slot = tp_site_slot_of_call(thread, &call),
                                             .flags = TP_ALLOC_ZERO,
                                             .size = size,
                                             .alignment = PRELOAD_ALIGNMENT,
                                             .call = call,
                                             .face = TAGPOOL_REPORT_MALLOC};
    return tp_alloc_requested(thread, &request);
}

EXPORT void *malloc(size_t size)
{
    void *block = PRELOAD_FAST(size);
    return TP_LIKELY(block != NULL)
               ? block
               : preload_alloc_slow(size, PRELOAD_ALIGNMENT, TP_CALL_HERE(), TAGPOOL_REPORT_MALLOC);
}

EXPORT void *calloc(size_t count, size_t each)
{
    size_t size;
    if (TP_UNLIKELY(__builtin_mul_overflow(count, each, &size))) {
        errno = ENOMEM;
        return NULL;
    }
    void *block = PRELOAD_FAST(size);
    return TP_LIKELY(block != NULL) ? memset(block, 0, size) : preload_calloc_slow(size, TP_CALL_HERE());
}

/* --- resize --------------------------------------------------------------------------------------------------- */

/* A block of the API's that is charged to a quota account. */
static void *preload_move_charged(void *old, const struct tp_block_info *info, size_t size, struct tp_call call)
{
    struct tp_thread *thread = tp_thread_self();
    const struct tp_alloc_request request = {.slot = tp_site_slot_of_call(thread, &call),
                                             .size = size,
                                             .alignment = PRELOAD_ALIGNMENT,
                                             .call = call,
                                             .face = TAGPOOL_REPORT_MALLOC};
    return tp_block_move(thread, old, info, &request);
}

static void *preload_move(void *old, const struct tp_block_info *info, size_t size, struct tp_call call)
{
    if (TP_UNLIKELY(info->account != TP_ACCOUNT_NONE))
        return preload_move_charged(old, info, size, call);
    void *block = preload_alloc_slow(size, PRELOAD_ALIGNMENT, call, TAGPOOL_REPORT_MALLOC);
    if (block == NULL)
        return NULL;
    memcpy(block, old, tp_min(size, info->size));
    tp_free_called(old, TAGPOOL_REPORT_MALLOC, TP_SIZE_UNTOLD, call);
    return block;
}

static TP_NOINLINE void *preload_realloc(void *old, size_t size, struct tp_call call)
{
    if (old == NULL)
        return preload_alloc_slow(size, PRELOAD_ALIGNMENT, call, TAGPOOL_REPORT_MALLOC);
    if (size == 0) {
        tp_free_called(old, TAGPOOL_REPORT_MALLOC, TP_SIZE_UNTOLD, call);
        return NULL;
    }
    tp_thread_self();
    struct tp_block_info info = tp_block_look_up(old);
    return tp_block_resize(old, &info, size) ? old : preload_move(old, &info, size, call);
}

EXPORT void *realloc(void *old, size_t size)
{
    return preload_realloc(old, size, TP_CALL_HERE());
}

EXPORT void *reallocarray(void *old, size_t count, size_t each)
{
    size_t size;
    if (TP_UNLIKELY(__builtin_mul_overflow(count, each, &size))) {
        errno = ENOMEM;
        return NULL;
    }
    return preload_realloc(old, size, TP_CALL_HERE());
}

/* --- aligned -------------------------------------------------------------------------------------------------- */

/* glibc 2.36 rounds an alignment that is no power of two up to one. */
static size_t preload_round_alignment(size_t alignment)
{
    size_t rounded = PRELOAD_ALIGNMENT;
    while (rounded < alignment && rounded <= SIZE_MAX / 4)
        rounded *= 2;
    return rounded;
}

static TP_NOINLINE void *preload_memalign(size_t alignment, size_t size, struct tp_call call)
{
    if (alignment > SIZE_MAX / 2) {
        errno = EINVAL;
        return NULL;
    }
    return preload_alloc_slow(size, preload_round_alignment(alignment), call, TAGPOOL_REPORT_MALLOC);
}

/* Blocks are aligned to 16 as they are; programs ask for that, and for less. */
#define PRELOAD_FAST_ALIGNED(alignment, size) ((alignment) <= PRELOAD_ALIGNMENT ? PRELOAD_FAST(size) : NULL)

EXPORT void *memalign(size_t alignment, size_t size)
{
    void *block = PRELOAD_FAST_ALIGNED(alignment, size);
    return TP_LIKELY(block != NULL) ? block : preload_memalign(alignment, size, TP_CALL_HERE());
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
    void *block = PRELOAD_FAST_ALIGNED(alignment, size);
    return TP_LIKELY(block != NULL) ? block : preload_memalign(alignment, size, TP_CALL_HERE());
}

/* Leaves errno and *out alone when it fails. */
EXPORT int posix_memalign(void **out, size_t alignment, size_t size)
{
    if (alignment % sizeof(void *) != 0 || !tp_is_power_of_two(alignment))
        return EINVAL;
    void *block = PRELOAD_FAST_ALIGNED(alignment, size);
    if (TP_UNLIKELY(block == NULL)) {
        int saved = errno;
        block = preload_memalign(alignment, size, TP_CALL_HERE());
        errno = saved;
    }
    if (block == NULL)
        return ENOMEM;
    *out = block;
    return 0;
}

EXPORT void *valloc(size_t size)
{
    return preload_memalign(TP_OS_PAGE, size, TP_CALL_HERE());
}

EXPORT void *pvalloc(size_t size)
{
    if (size > SIZE_MAX - TP_OS_PAGE) {
        errno = ENOMEM;
        return NULL;
    }
    return preload_memalign(TP_OS_PAGE, tp_round_up(size, TP_OS_PAGE), TP_CALL_HERE());
}

/* --- free ----------------------------------------------------------------------------------------------------- */

EXPORT void free(void *block)
{
    tp_free(block, TAGPOOL_REPORT_MALLOC);
}

/* C23: the size is a promise of the caller's; blocks know theirs. */
void free_sized(void *block, size_t size);
void free_aligned_sized(void *block, size_t alignment, size_t size);

EXPORT void free_sized(void *block, size_t size)
{
    tp_free_sized(block, TAGPOOL_REPORT_MALLOC, size);
}

EXPORT void free_aligned_sized(void *block, size_t alignment, size_t size)
{
    (void)alignment;
    tp_free_sized(block, TAGPOOL_REPORT_MALLOC, size);
}

EXPORT size_t malloc_usable_size(void *block)
{
    if (block == NULL)
        return 0;
    tp_thread_self();
    return tp_block_look_up(block).size;
}

/* --- glibc's inner names, for programs that call them --------------------------------------------------------- */

ALIAS(cfree, free);
ALIAS(__libc_free, free);
ALIAS(__libc_malloc, malloc);
ALIAS(__libc_calloc, calloc);
ALIAS(__libc_realloc, realloc);
ALIAS(__libc_reallocarray, reallocarray);
ALIAS(__libc_memalign, memalign);
ALIAS(__libc_valloc, valloc);
ALIAS(__libc_pvalloc, pvalloc);
ALIAS(__posix_memalign, posix_memalign);
