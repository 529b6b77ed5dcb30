#include "nonpaged.h"
#include "os.h"
#include "segment.h"

static size_t nonpaged_locked;

static bool nonpaged_fits(size_t held, size_t size)
{
    size_t limit = tp_os_limit_locked();
    return size <= limit && held <= limit - size;
}

bool tp_nonpaged_has_room(size_t size)
{
    return nonpaged_fits(tp_peek(&nonpaged_locked), size);
}

bool tp_nonpaged_charge(size_t size)
{
    size_t held = tp_peek(&nonpaged_locked);
    do {
        if (!nonpaged_fits(held, size))
            return false;
    } while (!__atomic_compare_exchange_n(&nonpaged_locked, &held, held + size, true, __ATOMIC_RELAXED,
                                          __ATOMIC_RELAXED));
    tp_poke(&tp_segment->locked_bytes, tp_peek(&nonpaged_locked));
    return true;
}

void tp_nonpaged_uncharge(size_t size)
{
    __atomic_fetch_sub(&nonpaged_locked, size, __ATOMIC_RELAXED);
    tp_poke(&tp_segment->locked_bytes, tp_peek(&nonpaged_locked));
}

bool tp_nonpaged_lock(void *addr, size_t size)
{
    if (!tp_nonpaged_charge(size))
        return false;
    if (tp_os_lock(addr, size) != 0) {
        tp_os_unlock(addr, size); /* a part of it may be locked */
        tp_nonpaged_uncharge(size);
        return false;
    }
    return true;
}

void tp_nonpaged_unlock(void *addr, size_t size)
{
    tp_os_unlock(addr, size);
    tp_nonpaged_uncharge(size);
}
